/** One limit: it becomes the option --limit-NAME and the variable DEVLXD_LIMIT_NAME. 0 switches it off. */
export interface LimitDeclaration {
    readonly default: number;
    readonly unit: string;
    readonly help: string;
}
/** All limits; docs/limits.md has one line for each, which a test holds. */
export declare const limitDeclarations: {
    readonly 'connections-per-instance': {
        readonly default: 128;
        readonly unit: 'connections';
        readonly help: 'open connections of one instance; the next one is closed at once';
    };
    readonly 'connections-nonroot': {
        readonly default: 16;
        readonly unit: 'connections';
        readonly help: 'of these, connections of users other than root, unless the instance serves them; the next one is closed at once';
    };
    readonly connections: {
        readonly default: 0;
        readonly unit: 'connections';
        readonly help: 'open connections of all instances; 0: what the descriptor limit leaves room for';
    };
    readonly 'connections-unregistered': {
        readonly default: 1024;
        readonly unit: 'connections';
        readonly help: 'open connections of callers that were told that they are of no registered instance; the next one is closed at once';
    };
    readonly 'connections-unidentified': {
        readonly default: 256;
        readonly unit: 'connections';
        readonly help: 'open connections of callers that cannot be identified; the next one is closed at once';
    };
    readonly 'connections-per-uid': {
        readonly default: 32;
        readonly unit: 'connections';
        readonly help: 'of these, connections of one user of the host; the next one is closed at once';
    };
    readonly 'requests-per-second': {
        readonly default: 2000;
        readonly unit: 'requests/s';
        readonly help: 'of one instance; beyond it, and the burst, requests wait';
    };
    readonly 'request-burst': {
        readonly default: 10000;
        readonly unit: 'requests';
        readonly help: 'that an instance may make at once, before that rate holds';
    };
    readonly 'stored-requests-per-second': {
        readonly default: 10;
        readonly unit: 'requests/s';
        readonly help: "of one instance for events that it missed, after ten seconds' worth of them at once; beyond it they wait";
    };
    readonly 'state-writes-per-minute': {
        readonly default: 10;
        readonly unit: 'writes/min';
        readonly help: "of one instance's state, after a minute's worth of them at once; beyond it the last state waits to be stored";
    };
    readonly 'pending-callers': {
        readonly default: 256;
        readonly unit: 'connections';
        readonly help: 'callers of unknown namespaces that may wait for their registration at the same time';
    };
    readonly 'hold-seconds': {
        readonly default: 3;
        readonly unit: 'seconds';
        readonly help: 'how long such a caller waits before it is told that it is unknown';
    };
    readonly 'event-backlog': {
        readonly default: number;
        readonly unit: 'bytes';
        readonly help: 'unread events of one listener; beyond it the listener is dropped';
    };
    readonly 'event-backlog-instance': {
        readonly default: number;
        readonly unit: 'bytes';
        readonly help: "unread events of one instance's listeners, in memory; beyond it a listener is dropped";
    };
    readonly 'event-backlog-total': {
        readonly default: number;
        readonly unit: 'bytes';
        readonly help: "unread events of all instances' listeners, in memory; beyond it a listener is dropped";
    };
    readonly 'unread-answers-instance': {
        readonly default: number;
        readonly unit: 'bytes';
        readonly help: 'answers of one instance that are not read to their end, in memory, each once; beyond it the oldest one is cut off';
    };
    readonly 'unread-answers-total': {
        readonly default: number;
        readonly unit: 'bytes';
        readonly help: 'answers of all instances that are not read to their end, in memory; beyond it the oldest one is cut off';
    };
    readonly 'websocket-frames': {
        readonly default: 100;
        readonly unit: 'frames/s';
        readonly help: 'pings, pongs and messages that one listener may send; beyond it the listener is dropped';
    };
    readonly 'pong-backlog': {
        readonly default: number;
        readonly unit: 'bytes';
        readonly help: 'unread answers to the pings of one listener; beyond it the listener is dropped';
    };
    readonly 'control-event-backlog': {
        readonly default: number;
        readonly unit: 'bytes';
        readonly help: 'unread events of one listener on the control socket; beyond it the listener is dropped';
    };
    readonly 'ping-seconds': {
        readonly default: 10;
        readonly unit: 'seconds';
        readonly help: 'between two pings of a WebSocket; one that misses three pongs is dropped';
    };
    readonly 'drain-seconds': {
        readonly default: 3;
        readonly unit: 'seconds';
        readonly help: 'how long a daemon that stops waits for answers that are under way';
    };
    readonly 'config-keys': {
        readonly default: 4096;
        readonly unit: 'keys';
        readonly help: 'configuration keys of one instance';
    };
    readonly 'config-key': {
        readonly default: 1024;
        readonly unit: 'bytes';
        readonly help: 'UTF-8 length of one configuration key, and of any other name in a body on the control socket';
    };
    readonly 'config-value': {
        readonly default: number;
        readonly unit: 'bytes';
        readonly help: 'UTF-8 length of one configuration value';
    };
    readonly 'image-exports': {
        readonly default: 2;
        readonly unit: 'exports';
        readonly help: 'images that are sent to one instance at the same time; the next ones wait';
    };
    readonly 'source-seconds': {
        readonly default: 30;
        readonly unit: 'seconds';
        readonly help: 'how long LXD or Incus may take to answer; ten times that for the list of all instances';
    };
    readonly 'guest-body': {
        readonly default: number;
        readonly unit: 'bytes';
        readonly help: 'body of one request of a guest';
    };
    readonly 'json-values': {
        readonly default: 20000;
        readonly unit: 'values';
        readonly help: 'values in one JSON document on the control socket: a body, or a line of a batch';
    };
    readonly 'json-depth': {
        readonly default: 32;
        readonly unit: 'levels';
        readonly help: 'objects and lists inside each other in one such document';
    };
    readonly 'batch-lines': {
        readonly default: 20000;
        readonly unit: 'lines';
        readonly help: 'lines of one batch on the control socket';
    };
    readonly 'guest-body-instance': {
        readonly default: number;
        readonly unit: 'bytes';
        readonly help: 'bodies of one instance that have begun and not ended; beyond it the oldest one is cut off';
    };
    readonly 'guest-body-total': {
        readonly default: number;
        readonly unit: 'bytes';
        readonly help: 'bodies of all instances that have begun and not ended; beyond it the oldest one is cut off';
    };
    readonly 'control-body': {
        readonly default: number;
        readonly unit: 'bytes';
        readonly help: 'body of one request on the control socket';
    };
};
export type LimitName = keyof typeof limitDeclarations;
/** What holds now. It may change while the daemon runs: read it where it is used, and keep no copy. */
export type Limits = Readonly<Record<LimitName, number>>;
/** The limit as the code compares it: 0 means that nothing is too much. */
export declare function exceeds(limit: number, amount: number): boolean;
