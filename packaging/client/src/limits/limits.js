/** All limits; docs/limits.md has one line for each, which a test holds. */
export const limitDeclarations = {
    'connections-per-instance': {
        default: 128,
        unit: 'connections',
        help: 'open connections of one instance; the next one is closed at once',
    },
    'connections-nonroot': {
        default: 16,
        unit: 'connections',
        help: 'of these, connections of users other than root, unless the instance serves them; the next one is closed at once',
    },
    connections: {
        default: 0,
        unit: 'connections',
        help: 'open connections of all instances; 0: what the descriptor limit leaves room for',
    },
    'connections-unregistered': {
        default: 1024,
        unit: 'connections',
        help: 'open connections of callers that were told that they are of no registered instance; the next one is closed at once',
    },
    'connections-unidentified': {
        default: 256,
        unit: 'connections',
        help: 'open connections of callers that cannot be identified; the next one is closed at once',
    },
    'connections-per-uid': {
        default: 32,
        unit: 'connections',
        help: 'of these, connections of one user of the host; the next one is closed at once',
    },
    'requests-per-second': {
        default: 2000,
        unit: 'requests/s',
        help: 'of one instance; beyond it, and the burst, requests wait',
    },
    'request-burst': {
        default: 10_000,
        unit: 'requests',
        help: 'that an instance may make at once, before that rate holds',
    },
    'stored-requests-per-second': {
        default: 10,
        unit: 'requests/s',
        help: "of one instance for events that it missed, after ten seconds' worth of them at once; beyond it they wait",
    },
    'state-writes-per-minute': {
        default: 10,
        unit: 'writes/min',
        help: "of one instance's state, after a minute's worth of them at once; beyond it the last state waits to be stored",
    },
    'pending-callers': {
        default: 256,
        unit: 'connections',
        help: 'callers of unknown namespaces that may wait for their registration at the same time',
    },
    'hold-seconds': {
        default: 3,
        unit: 'seconds',
        help: 'how long such a caller waits before it is told that it is unknown',
    },
    'event-backlog': {
        default: 1024 * 1024,
        unit: 'bytes',
        help: 'unread events of one listener; beyond it the listener is dropped',
    },
    'event-backlog-instance': {
        default: 16 * 1024 * 1024,
        unit: 'bytes',
        help: "unread events of one instance's listeners, in memory; beyond it a listener is dropped",
    },
    'event-backlog-total': {
        default: 64 * 1024 * 1024,
        unit: 'bytes',
        help: "unread events of all instances' listeners, in memory; beyond it a listener is dropped",
    },
    'unread-answers-instance': {
        default: 16 * 1024 * 1024,
        unit: 'bytes',
        help: 'answers of one instance that are not read to their end, in memory, each once; beyond it the oldest one is cut off',
    },
    'unread-answers-total': {
        default: 64 * 1024 * 1024,
        unit: 'bytes',
        help: 'answers of all instances that are not read to their end, in memory; beyond it the oldest one is cut off',
    },
    'websocket-frames': {
        default: 100,
        unit: 'frames/s',
        help: 'pings, pongs and messages that one listener may send; beyond it the listener is dropped',
    },
    'pong-backlog': {
        default: 64 * 1024,
        unit: 'bytes',
        help: 'unread answers to the pings of one listener; beyond it the listener is dropped',
    },
    'control-event-backlog': {
        default: 16 * 1024 * 1024,
        unit: 'bytes',
        help: 'unread events of one listener on the control socket; beyond it the listener is dropped',
    },
    'ping-seconds': {
        default: 10,
        unit: 'seconds',
        help: 'between two pings of a WebSocket; one that misses three pongs is dropped',
    },
    'drain-seconds': {
        default: 3,
        unit: 'seconds',
        help: 'how long a daemon that stops waits for answers that are under way',
    },
    'config-keys': {
        default: 4096,
        unit: 'keys',
        help: 'configuration keys of one instance',
    },
    'config-key': {
        default: 1024,
        unit: 'bytes',
        help: 'UTF-8 length of one configuration key, and of any other name in a body on the control socket',
    },
    'config-value': {
        default: 4 * 1024 * 1024,
        unit: 'bytes',
        help: 'UTF-8 length of one configuration value',
    },
    'image-exports': {
        default: 2,
        unit: 'exports',
        help: 'images that are sent to one instance at the same time; the next ones wait',
    },
    'source-seconds': {
        default: 30,
        unit: 'seconds',
        help: 'how long LXD or Incus may take to answer; ten times that for the list of all instances',
    },
    'guest-body': {
        default: 64 * 1024,
        unit: 'bytes',
        help: 'body of one request of a guest',
    },
    'json-values': {
        default: 20_000,
        unit: 'values',
        help: 'values in one JSON document on the control socket: a body, or a line of a batch',
    },
    'json-depth': {
        default: 32,
        unit: 'levels',
        help: 'objects and lists inside each other in one such document',
    },
    'batch-lines': {
        default: 20_000,
        unit: 'lines',
        help: 'lines of one batch on the control socket',
    },
    'guest-body-instance': {
        default: 1024 * 1024,
        unit: 'bytes',
        help: 'bodies of one instance that have begun and not ended; beyond it the oldest one is cut off',
    },
    'guest-body-total': {
        default: 16 * 1024 * 1024,
        unit: 'bytes',
        help: 'bodies of all instances that have begun and not ended; beyond it the oldest one is cut off',
    },
    'control-body': {
        default: 16 * 1024 * 1024,
        unit: 'bytes',
        help: 'body of one request on the control socket',
    },
};
/** The limit as the code compares it: 0 means that nothing is too much. */
export function exceeds(limit, amount) {
    return limit !== 0 && amount > limit;
}
//# sourceMappingURL=limits.js.map