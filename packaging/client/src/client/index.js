/** What `devlxd/client` offers; docs/client.md */
export { ApiError, ConnectionError } from './client-errors.js';
export { Collection } from './collection.js';
export * from './guest-client.js';
export { HostClient } from './host-client.js';
//# sourceMappingURL=index.js.map