/** What an instance is; it stays what it is made as. */
export const instanceTypes = ['container', 'virtual-machine'];
/** The description of an instance that is deleted with its container; one with any other stays. */
export const temporaryDescription = 'Made for a container by devlxd-hook; deleted with it';
/** The same on a host of a fleet, where the fleet may describe it while it runs. */
export const standInDescription = 'Made for a container by devlxd-hook, until the fleet describes it; deleted with it';
export function isTemporary({ description, source }) {
    return source === undefined && [temporaryDescription, standInDescription].includes(description);
}
/** The daemon in whose words guests of this instance are answered; undefined: our own, which are LXD's. */
export function peerOf({ source }) {
    return source === 'etcd' ? undefined : source;
}
export function statusOf({ run, guestState }) {
    if (run === undefined)
        return 'Stopped';
    return guestState === 'Ready' ? 'Ready' : 'Running';
}
/** The project that is meant when none is named, and the profile that every project has. */
export const defaultProject = 'default';
export const defaultProfile = 'default';
// By what is the instance's own: that stays the same when the guest says how far it is. Most need no map of their own.
const expandedConfigs = new WeakMap();
const expandedDeviceMaps = new WeakMap();
/** What the guest sees: the profiles' configuration, in order, and then the instance's own. The same map while both are. */
export function expandedConfig(instance) {
    const { profiles, config } = instance;
    if (profiles.every((profile) => profile.config.size === 0))
        return config;
    const make = () => merged(profiles.map((profile) => profile.config).concat(config));
    return remembered(expandedConfigs, config, profiles, make);
}
/** The same where it has been asked for before; undefined: it has not. */
export function knownExpandedConfig({ profiles, config }) {
    if (profiles.every((profile) => profile.config.size === 0))
        return config;
    const found = expandedConfigs.get(config);
    return found?.profiles === profiles ? found.made : undefined;
}
/** The same for devices; one of the same name replaces the other as a whole. */
export function expandedDevices(instance) {
    const { profiles, devices } = instance;
    if (profiles.every((profile) => profile.devices.size === 0))
        return devices;
    const make = () => merged(profiles.map((profile) => profile.devices).concat(devices));
    return remembered(expandedDeviceMaps, devices, profiles, make);
}
function merged(maps) {
    const [first, ...others] = maps;
    const result = new Map(first);
    for (const map of others)
        for (const [name, value] of map)
            result.set(name, value);
    return result;
}
function remembered(known, own, profiles, make) {
    const found = known.get(own);
    if (found?.profiles === profiles)
        return found.made;
    const made = make();
    known.set(own, { profiles, made });
    return made;
}
/**
 * Is this boolean key of the configuration on? A key has LXD's name and Incus' name: where both are set, both must be
 * on. byDefault: what an unset key means.
 */
export function flag(instance, key, byDefault) {
    const config = expandedConfig(instance);
    const values = [config.get(key), config.get(incusKeyOf(key))].filter((value) => value !== undefined && value !== '');
    return values.length === 0 ? byDefault : values.every((value) => isTrue(value));
}
/** Are its users other than root served? */
export function servesNonroot(instance) {
    return flag(instance, 'security.devlxd.nonroot', false);
}
/** Are the containers inside it served as the instance? devlxd's own key; LXD serves them. */
export function servesNested(instance) {
    return flag(instance, 'security.devlxd.nested', true);
}
/** security.devlxd.images -> security.guestapi.images */
export function incusKeyOf(key) {
    return key.replace(/^security\.devlxd/, 'security.guestapi');
}
/** Where LXD and Incus keep what a guest has said of itself to them. */
export const readyKey = 'volatile.last_state.ready';
/** Where LXD keeps whether it runs, by which clients choose (Ansible's inventory). */
export const powerKey = 'volatile.last_state.power';
/** Where LXD keeps the context id of a virtual machine. */
export const cidKey = 'volatile.vsock_id';
/** How far the guest of an instance is that starts: where it runs already, it has told its source. */
export function firstGuestState(instance) {
    return peerOf(instance) !== undefined && flag(instance, readyKey, false) ? 'Ready' : 'Started';
}
/** The words that LXD takes for true (shared/util.go, IsTrue). */
export function isTrue(value) {
    return ['true', '1', 'yes', 'on'].includes(value.toLowerCase());
}
/** A map with its keys in order, as a plain object for JSON. */
export function sortedObject(map) {
    return Object.fromEntries([...map].sort(byName));
}
/** For sorting the entries of a map by key, in the order of their UTF-16 code units. */
export function byName([a], [b]) {
    return a < b ? -1 : a > b ? 1 : 0;
}
//# sourceMappingURL=instance.js.map