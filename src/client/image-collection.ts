import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Image, ImageWritten } from '../api/types.js';
import type { Headers } from './connection.js';
import { envelopeOf, pathOf, type Requests } from './requests.js';

const imageTypes = { file: 'application/octet-stream', form: 'multipart/form-data; boundary=' } as const;

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
export class Images {
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /** By the time of their import. filter: such as `properties.os=Debian` */
  async list({ filter }: { readonly filter?: string } = {}): Promise<Image[]> {
    return this.#requests.request<Image[]>('GET', pathOf('images', undefined, { recursion: '1', filter }));
  }

  /** @throws ApiError 404 */
  async get(fingerprint: string): Promise<Image> {
    return this.#requests.request<Image>('GET', pathOf('images', fingerprint));
  }

  /**
   * Sends an image of any length, on a connection of its own. size: bytes of the body
   * @returns its fingerprint, when it is stored
   * @throws ApiError 400 when it is there already, or has another fingerprint; ConnectionError
   */
  async import(body: Readable, size: number, described: ImageImport = {}): Promise<string> {
    const { metadata } = await this.#requests.upload('/1.0/images', body, size, headersOf(described));
    return String(metadata?.['fingerprint']);
  }

  /** Its bytes: the file, or both files of a split one as a form. @throws ApiError 404 */
  async export(fingerprint: string): Promise<IncomingMessage> {
    const path = `${pathOf('images', fingerprint)}/export`;
    const response = await this.#requests.connection.stream({ method: 'GET', path, alone: true });
    if (response.statusCode === 200) return response;
    const refused = { status: response.statusCode ?? 0, headers: {}, text: await text(response) };
    throw new Error(`an export is answered by a file or an error: ${envelopeOf(refused).type}`);
  }

  /** @throws ApiError 404 */
  async patch(fingerprint: string, changed: Partial<ImageWritten>): Promise<void> {
    await this.#requests.request('PATCH', pathOf('images', fingerprint), changed);
  }

  /** ExportQueue that run go on. @throws ApiError 404 */
  async delete(fingerprint: string): Promise<void> {
    await this.#requests.request('DELETE', pathOf('images', fingerprint));
  }
}

function headersOf({ filename = '', properties = {}, boundary, fingerprint, ...flags }: ImageImport): Headers {
  return {
    'content-type': boundary === undefined ? imageTypes.file : `${imageTypes.form}${boundary}`,
    'x-lxd-filename': utf8Header(filename),
    'x-lxd-public': String(flags.public ?? false),
    'x-lxd-cached': String(flags.cached ?? false),
    'x-lxd-properties': new URLSearchParams(properties).toString(),
    ...(fingerprint === undefined ? {} : { 'x-lxd-fingerprint': fingerprint }),
  };
}

/** The bytes of the text's UTF-8, as Go's clients send them; a header's characters stand for one byte each. */
function utf8Header(value: string): string {
  return Buffer.from(value, 'utf8').toString('latin1');
}
