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
export declare const dialects: Readonly<Record<PeerName, Dialect>>;
/** `lxd`, or `lxd:/PATH/OF/SOCKET`; undefined: it is neither */
export declare function sourceIn(text: string): SourceSetting | undefined;
