import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { Image, ImageWritten } from '../api/types.js';
import { type Requests } from './requests.js';
/** What is said of an image when it is imported. */
export interface ImageImport {
    /** its name where it comes from, for people */
    readonly filename?: string;
    readonly public?: boolean;
    /** a copy of an image that is public elsewhere: guests may have it as well */
    readonly cached?: boolean;
    readonly properties?: Readonly<Record<string, string>>;
    /** what its SHA-256 must be */
    readonly fingerprint?: string;
    /** of a split image, sent as a form with `metadata` and `rootfs` (a virtual machine's: `rootfs.img`) */
    readonly boundary?: string;
}
/** /1.0/images; they belong to no project. Fingerprints may be the beginning of one, where it fits one image only. */
export declare class Images {
    #private;
    constructor(requests: Requests);
    /** By the time of their import. filter: such as `properties.os=Debian` */
    list({ filter }?: {
        readonly filter?: string;
    }): Promise<Image[]>;
    /** @throws ApiError 404 */
    get(fingerprint: string): Promise<Image>;
    /**
     * Sends an image of any length, on a connection of its own. size: bytes of the body
     * @returns its fingerprint, when it is stored
     * @throws ApiError 400 when it is there already, or has another fingerprint; ConnectionError
     */
    import(body: Readable, size: number, described?: ImageImport): Promise<string>;
    /** Its bytes: the file, or both files of a split one as a form. @throws ApiError 404 */
    export(fingerprint: string): Promise<IncomingMessage>;
    /** @throws ApiError 404 */
    patch(fingerprint: string, changed: Partial<ImageWritten>): Promise<void>;
    /** ExportQueue that run go on. @throws ApiError 404 */
    delete(fingerprint: string): Promise<void>;
}
