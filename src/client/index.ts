/** What `devlxd/client` offers; docs/client.md */

export type * from '../api/types.js';
export { ApiError, ConnectionError } from './client-errors.js';
export { Collection, type ListQuery, type Writable } from './collection.js';
export * from './guest-client.js';
export { HostClient, type HostEventsOptions, type HostOptions } from './host-client.js';
export type { ImageImport, Images } from './image-collection.js';
export type { Instances } from './instance-collection.js';
export type { OperationList } from './operations.js';
export type { Method, Progress } from './requests.js';
export type { StagedBatch } from './staged-batch.js';
