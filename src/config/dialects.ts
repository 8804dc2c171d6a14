import type { PeerName } from '../model/instance.js';

/** How a daemon that speaks LXD's API differs from the others that do. */
export interface Dialect {
  /** what people call it */
  readonly title: string;
  /** the command that changes its instances */
  readonly tool: string;
  /** where its API is, unless --source says another place */
  readonly socketPath: string;
  /** and where it is when it comes as a snap; undefined: it does not */
  readonly snapSocketPath?: string;
  /** the directory, beside that socket, whose `sock` its guests ask */
  readonly guestDirectory: string;
  /** its names of the keys that the guest API looks at, where they are not LXD's -> LXD's */
  readonly keys: ReadonlyMap<string, string>;
}

/** A daemon whose instances are served, and where it is asked. */
export interface SourceSetting {
  readonly name: PeerName;
  readonly socketPath: string;
}

export const dialects: Readonly<Record<PeerName, Dialect>> = {
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
export function sourceIn(text: string): SourceSetting | undefined {
  for (const [name, dialect] of Object.entries(dialects) as [PeerName, Dialect][]) {
    if (text === name) return { name, socketPath: dialect.socketPath };
    if (text.startsWith(`${name}:/`)) return { name, socketPath: text.slice(name.length + 1) };
  }
  return undefined;
}
