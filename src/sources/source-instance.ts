type Options = Readonly<Record<string, string>>;

/** What is read of an instance (api.Instance, and of api.InstanceFull its state). */
export interface ApiInstance {
  readonly name: string;
  readonly project: string;
  readonly type: string;
  /** which member of the cluster runs it; none: it is no cluster */
  readonly location: string;
  readonly description: string;
  readonly created_at: string;
  readonly status_code: number;
  readonly expanded_config: Options;
  readonly expanded_devices: Readonly<Record<string, Options>>;
  /** undefined: it was not asked for; null: it could not be found out */
  readonly state?: { readonly pid: number } | null;
}

/** Is it said which instance it is, even if nothing else? */
export function isNamed(found: unknown): found is ApiInstance {
  const { project, name, type, location } = isObject(found) ? found : {};
  return [type, location].every(isText) && [project, name].every((word) => isText(word) && /^[^/]+$/.test(word));
}

/**
 * Is the rest there as well? Of an instance that could not be loaded, LXD lists only what it is called, with the status
 * Error and null for its configuration (lxd/instances_get.go, resultErrListAppend).
 */
export function isReadable(found: ApiInstance): boolean {
  const { description, created_at: createdAt, status_code: status, expanded_config, expanded_devices, state } = found;
  return (
    [description, createdAt].every(isText) &&
    Number.isInteger(status) &&
    isOptions(expanded_config) &&
    isObject(expanded_devices) &&
    Object.values(expanded_devices).every(isOptions) &&
    (state === undefined || state === null || isPid(state.pid))
  );
}

function isOptions(found: unknown): found is Options {
  return isObject(found) && Object.values(found).every(isText);
}

function isObject(found: unknown): found is Record<string, unknown> {
  return typeof found === 'object' && found !== null && !Array.isArray(found);
}

function isText(found: unknown): found is string {
  return typeof found === 'string';
}

/** 0 and less: none (LXD says -1 of some that do not run) */
function isPid(found: unknown): boolean {
  return Number.isInteger(found) && Math.abs(found as number) <= 2 ** 22;
}
