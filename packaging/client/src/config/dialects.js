export const dialects = {
    lxd: {
        title: 'LXD',
        tool: 'lxc',
        socketPath: '/var/lib/lxd/unix.socket',
        snapSocketPath: '/var/snap/lxd/common/lxd/unix.socket',
        guestDirectory: 'devlxd',
        keys: new Map(),
    },
    incus: {
        title: 'Incus',
        tool: 'incus',
        socketPath: '/var/lib/incus/unix.socket',
        guestDirectory: 'guestapi',
        keys: new Map([
            ['security.guestapi', 'security.devlxd'],
            ['security.guestapi.images', 'security.devlxd.images'],
        ]),
    },
};
/** `lxd`, or `lxd:/PATH/OF/SOCKET`; undefined: it is neither */
export function sourceIn(text) {
    for (const [name, dialect] of Object.entries(dialects)) {
        if (text === name)
            return { name, socketPath: dialect.socketPath };
        if (text.startsWith(`${name}:/`))
            return { name, socketPath: text.slice(name.length + 1) };
    }
    return undefined;
}
//# sourceMappingURL=dialects.js.map