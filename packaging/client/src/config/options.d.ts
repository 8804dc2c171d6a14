import { type Limits } from '../limits/limits.js';
import { type SourceSetting } from './dialects.js';
import { type FleetSetting } from './fleet-setting.js';
/** How an option's text is understood. */
export type OptionKind = 'path' | 'file' | 'text' | 'count' | readonly string[];
export interface OptionDeclaration {
    readonly kind: OptionKind;
    readonly default: string;
    readonly help: string;
}
/**
 * Every option of `devlxd serve`, declared once: flag, environment variable, type, default and --help all come
 * from here. `run-dir` becomes --run-dir and DEVLXD_RUN_DIR.
 */
export declare const optionDeclarations: {
    readonly 'run-dir': {
        readonly kind: 'path';
        readonly default: string;
        readonly help: 'directory of the sockets: guest/sock and control.sock';
    };
    readonly 'state-dir': {
        readonly kind: 'path';
        readonly default: string;
        readonly help: 'directory of the store';
    };
    readonly group: {
        readonly kind: 'text';
        readonly default: '';
        readonly help: 'group that may use control.sock as well (its number); none: 0600';
    };
    readonly identity: {
        readonly kind: readonly ["auto", "pidfd-ioctl", "peer-pidfd", "procfs"];
        readonly default: 'auto';
        readonly help: 'how callers are identified; auto takes the best that the kernel has';
    };
    readonly source: {
        readonly kind: 'text';
        readonly default: '';
        readonly help: 'whose instances are served as well: lxd, incus, or either with :SOCKET; etcd: a fleet; none: only our own';
    };
    readonly 'etcd-endpoints': {
        readonly kind: 'text';
        readonly default: '127.0.0.1:2379';
        readonly help: 'members of the etcd of --source etcd: HOST:PORT,HOST:PORT,...';
    };
    readonly 'etcd-host': {
        readonly kind: 'text';
        readonly default: '';
        readonly help: 'name of this host in the fleet; none: the name of the machine';
    };
    readonly 'etcd-prefix': {
        readonly kind: 'text';
        readonly default: '/devlxd/';
        readonly help: 'what the keys of the fleet begin with';
    };
    readonly 'etcd-ca': {
        readonly kind: 'file';
        readonly default: '';
        readonly help: 'certificates (PEM) that the members of etcd are verified with';
    };
    readonly 'etcd-cert': {
        readonly kind: 'file';
        readonly default: '';
        readonly help: 'certificate (PEM) of this host; its common name is its user in etcd';
    };
    readonly 'etcd-key': {
        readonly kind: 'file';
        readonly default: '';
        readonly help: 'key (PEM) of --etcd-cert';
    };
    readonly 'identity-issuer': {
        readonly kind: 'text';
        readonly default: '';
        readonly help: 'iss of identity documents, as the URL of an OpenID issuer; none: devlxd://HOSTNAME';
    };
    readonly 'identity-trust-domain': {
        readonly kind: 'text';
        readonly default: '';
        readonly help: 'SPIFFE trust domain: identity documents are JWT-SVIDs then; none: their subject is PROJECT/UUID';
    };
    readonly 'identity-seconds': {
        readonly kind: 'count';
        readonly default: '300';
        readonly help: 'life of an identity document, at most 86400';
    };
    readonly backlog: {
        readonly kind: 'count';
        readonly default: '4096';
        readonly help: 'connections that may wait to be accepted';
    };
    readonly 'handover-seconds': {
        readonly kind: 'count';
        readonly default: '30';
        readonly help: 'a takeover in which the other process hangs for this long is given up (s); 0: never';
    };
    readonly 'response-cache': {
        readonly kind: 'count';
        readonly default: '16384';
        readonly help: 'bytes of answers kept for each instance, to be given again until it changes; 0: none';
    };
    readonly 'log-level': {
        readonly kind: readonly ["trace", "debug", "info", "warn", "error", "fatal", "silent"];
        readonly default: 'info';
        readonly help: 'least serious lines that are written; guest requests are debug';
    };
    readonly 'log-format': {
        readonly kind: readonly ["auto", "json", "pretty"];
        readonly default: 'auto';
        readonly help: 'auto: pretty on a terminal, JSON elsewhere';
    };
    readonly 'options-file': {
        readonly kind: 'file';
        readonly default: '';
        readonly help: 'the variables of these options, one VARIABLE=value a line; SIGHUP reads it again';
    };
};
/** logLevel, responseCacheBytes and limits may change while the daemon runs (reload.ts): read them where they are used, never copy them. */
export interface Settings {
    readonly runDir: string;
    readonly stateDir: string;
    readonly group: string;
    readonly identity: string;
    /** LXD or Incus on this host; undefined: none is followed */
    readonly source: SourceSetting | undefined;
    /** of --source etcd; undefined: this host belongs to none */
    readonly fleet: FleetSetting | undefined;
    readonly identityIssuer: string;
    readonly identityTrustDomain: string;
    readonly identitySeconds: number;
    readonly backlog: number;
    readonly handoverSeconds: number;
    readonly responseCacheBytes: number;
    readonly logLevel: string;
    readonly logFormat: string;
    /** '': there is none */
    readonly optionsFile: string;
    readonly limits: Limits;
}
type Given = Readonly<Record<string, string | undefined>>;
/** An option that cannot be understood; the message names it and says what would do. */
export declare class OptionError extends Error {
    readonly name = "OptionError";
}
/** The environment variable of an option: run-dir -> DEVLXD_RUN_DIR. */
export declare function variableOf(option: string): string;
/** Flags as [name, declaration], limits among them, in the order in which --help shows them. */
export declare function allOptions(): [string, OptionDeclaration][];
/** Flags win over the environment, which wins over the defaults. flags: by option name, as given. */
export declare function readSettings(flags: Given, variables?: Given): Settings;
export {};
