import type { IncomingMessage } from 'node:http';
import type { Devices } from '../api/types.js';
import { type Connect } from './connection.js';
export interface GuestOptions {
    /** /dev/lxd/sock */
    readonly socketPath?: string;
    /** to reach it another way */
    readonly connect?: Connect;
}
/** GET /1.0 */
export interface GuestInfo {
    readonly state: GuestState;
    readonly api_version: string;
    readonly instance_type: string;
    /** name of the host */
    readonly location: string;
}
export type GuestState = 'Started' | 'Ready';
/** A key of the configuration has changed: '' stands for unset. */
export interface ConfigEvent {
    readonly type: 'config';
    readonly timestamp: string;
    readonly metadata: {
        readonly key: string;
        readonly old_value: string;
        readonly value: string;
    };
}
export interface DeviceEvent {
    readonly type: 'device';
    readonly timestamp: string;
    readonly metadata: {
        readonly action: 'added' | 'updated' | 'removed';
        readonly name: string;
        readonly config: Readonly<Record<string, string>>;
    };
}
export type GuestEvent = ConfigEvent | DeviceEvent;
export interface GuestEventsOptions {
    /** all, when left out */
    readonly types?: readonly GuestEvent['type'][];
    /** the timestamp of the last event that was seen: what came after it is heard first */
    readonly since?: string;
    /** ends the iteration, quietly */
    readonly signal?: AbortSignal;
}
/**
 * A guest's view of itself, on /dev/lxd/sock; LXD's own socket is served as well, but replays no events. Everything
 * fails with ApiError, whose message is the server's sentence (docs/errors.md), or with ConnectionError.
 */
export declare class GuestClient {
    #private;
    constructor({ socketPath, connect }?: GuestOptions);
    info(): Promise<GuestInfo>;
    /** Tells the host how far the instance is. */
    setState(state: GuestState): Promise<void>;
    /** The keys that are set and may be read, sorted: user.* and cloud-init.* */
    keys(): Promise<string[]>;
    /** A value; undefined: not set. @throws ApiError 403, for a key that guests may not read */
    config(key: string): Promise<string | undefined>;
    /** What cloud-init reads: YAML with instance-id, local-hostname, and user.meta-data as it is. */
    metaData(): Promise<string>;
    devices(): Promise<Devices>;
    /**
     * A signed document that proves to another service which instance this is (a JWT, docs/identity.md). audience: the
     * service; nonce: comes back in the document, which ties it to one exchange
     * @throws ApiError 403, when the host has switched it off
     */
    identity({ audience, nonce }: {
        readonly audience: string;
        readonly nonce?: string;
    }): Promise<string>;
    /**
     * An image, by its full fingerprint: the file, or both files of a split one as a form. It must be read, or be
     * destroyed. from: bytes that are there already. @throws ApiError 403, 404
     */
    exportImage(fingerprint: string, from?: number): Promise<IncomingMessage>;
    /**
     * What changes, in order. After a lost connection the client reconnects, and what was missed is replayed: each event is
     * heard exactly once, also over a restart of the daemon.
     * @throws ApiError 410, when more was missed than the host keeps (256 events): read everything again, then listen
     * again; 403, when the host has switched the API off. ConnectionError, when there is no socket at the start
     */
    events({ types, since, signal }?: GuestEventsOptions): AsyncGenerator<GuestEvent, void, void>;
    /** Closes the kept connection; events end by their signal, or with their iteration. */
    close(): Promise<void>;
}
