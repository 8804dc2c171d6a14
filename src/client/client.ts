/** What `devlxd/client` offers; docs/client.md */
export { Collection, type ListQuery } from './collection.js';
export { ApiError, ConnectionError } from './errors.js';
export * from './guest.js';
export { HostClient, type HostEventsOptions, type HostOptions } from './host.js';
export type { ImageImport, Images } from './images.js';
export type { Instances } from './instances.js';
export type { OperationList } from './operations.js';
export type { Method, Progress } from './requests.js';
export type * from './shapes.js';
