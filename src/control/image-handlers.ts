import { isUtf8 } from 'node:buffer';
import type * as Shown from '../api/types.js';
import { invalid } from '../errors.js';
import { lostKeyIn } from '../http/query-text.js';
import { downloadOf } from '../images/download.js';
import type { Images } from '../images/image-library.js';
import type { Requestor } from '../model/changes.js';
import { fingerprintPattern, type Image, sizeOf } from '../model/image.js';
import type { ControlEvents } from './control-events.js';
import {
  type ControlHandler,
  type ControlRequest,
  checkIfMatch,
  done,
  etagOf,
  sync,
  type UploadHandler,
} from './control-reply.js';
import { filterOf, readerOf } from './filter.js';
import { receiveImage } from './image-upload.js';
import type { Operations } from './operations.js';
import { architecture } from './render.js';
import { imagePut, parseBody } from './request-body.js';

type Headers = ControlRequest['headers'];

/** The handlers of /1.0/images. Images belong to no project: ?project= means nothing here. */
export class ImageHandlers {
  readonly #images: Images;
  readonly #operations: Operations;
  readonly #events: ControlEvents;

  constructor(images: Images, operations: Operations, events: ControlEvents) {
    this.#images = images;
    this.#operations = operations;
    this.#events = events;
  }

  readonly list: ControlHandler = ({ query }) => {
    const matches = filterOf(query);
    const images = this.#images
      .list()
      .filter((image) => matches === undefined || matches(readerOf(renderImage(image))));
    if ((query.get('recursion') || '0') === '0') return sync(images.map(pathOf));
    return sync(images.map(renderImage));
  };

  readonly get: ControlHandler = (request) => {
    const image = this.#need(request);
    return sync(renderImage(image), imageEtag(image));
  };

  /** The body is read first, so that the operation is only the storing of what has come. */
  readonly create: UploadHandler = async ({ headers, requestor }, incoming) => {
    const upload = this.#images.upload();
    try {
      const details = detailsOf(headers);
      const type = await receiveImage(incoming, upload);
      const fingerprint = upload.fingerprint();
      checkFingerprint(fingerprint, headers);
      const size = upload.received.reduce((sum, file) => sum + file.size, 0);
      if (size === 0) throw invalid('body', 'is empty; send the image');
      const added = this.#images.add(fingerprint, upload, { ...details, type });
      const work = added.then(() => this.#tell('created', fingerprint, requestor));
      work.catch(() => upload.discard());
      const operation = this.#operations.start('Downloading image', [], work, { fingerprint, size: String(size) });
      return { kind: 'async', operation };
    } catch (error) {
      await upload.discard();
      throw error;
    }
  };

  /** PUT replaces what may be changed, PATCH changes what is named. */
  readonly replace: ControlHandler = async (request) => {
    const { public: isPublic = false, properties } = parseBody(imagePut, request.body);
    return this.#edit(request, (before) => ({ ...before, public: isPublic, properties: properties ?? {} }));
  };

  readonly patch: ControlHandler = async (request) => {
    const { public: isPublic, properties } = parseBody(imagePut, request.body);
    return this.#edit(request, (before) => ({
      ...before,
      public: isPublic ?? before.public,
      properties: { ...before.properties, ...properties },
    }));
  };

  readonly remove: ControlHandler = (request) => {
    const { fingerprint } = this.#need(request);
    const work = this.#images.remove(fingerprint).then(() => this.#tell('deleted', fingerprint, request.requestor));
    return { kind: 'async', operation: this.#operations.start('Deleting image', [], work, { fingerprint }) };
  };

  readonly export: ControlHandler = async (request) => {
    const image = this.#need(request);
    const { range = '', 'if-range': ifRange = '', 'if-none-match': ifNoneMatch = '' } = request.headers;
    const download = downloadOf(image, {
      range: String(range),
      ifRange: String(ifRange),
      ifNoneMatch: String(ifNoneMatch),
    });
    return { kind: 'download', download, opened: await this.#images.open(image) };
  };

  async #edit(request: ControlRequest, change: (before: Image) => Image) {
    const { fingerprint } = this.#need(request);
    await this.#images.change(fingerprint, (before) => {
      checkIfMatch(request.headers, () => imageEtag(before));
      return change(before);
    });
    this.#tell('updated', fingerprint, request.requestor);
    return done;
  }

  #tell(done: string, fingerprint: string, requestor: Requestor): void {
    const source = `/1.0/images/${fingerprint}`;
    this.#events.lifecycle({ project: undefined, action: `image-${done}`, source, context: {} }, requestor);
  }

  #need({ parameters }: ControlRequest): Image {
    return this.#images.need(parameters['fingerprint'] ?? '');
  }
}

function pathOf({ fingerprint }: Image): string {
  return `/1.0/images/${fingerprint}`;
}

/** As LXD's API describes an image (api.Image). */
function renderImage(image: Image): Shown.Image {
  return {
    ...writable(image),
    aliases: [],
    architecture,
    cached: image.cached,
    filename: image.filename,
    fingerprint: image.fingerprint,
    size: sizeOf(image),
    type: image.type,
    created_at: image.uploadedAt,
    last_used_at: '1970-01-01T00:00:00Z',
    uploaded_at: image.uploadedAt,
    project: 'default',
  };
}

function imageEtag(image: Image): string {
  return etagOf(writable(image));
}

function writable(image: Image) {
  return {
    auto_update: false,
    properties: image.properties,
    public: image.public,
    expires_at: '1970-01-01T00:00:00Z',
    profiles: [],
  };
}

/** What LXD's clients say of an image in headers; X-LXD-cached is devlxd's own. */
function detailsOf(headers: Headers): Pick<Image, 'filename' | 'public' | 'cached' | 'properties'> {
  // A header's characters are bytes, and a name is UTF-8.
  const filename = Buffer.from(String(headers['x-lxd-filename'] ?? ''), 'latin1');
  if (!isUtf8(filename)) throw invalid('X-LXD-filename', 'is not UTF-8');
  const properties = String(headers['x-lxd-properties'] ?? '');
  const lost = lostKeyIn(properties);
  if (lost !== undefined) throw invalid(`X-LXD-properties: ${lost}`, 'is not UTF-8');
  return {
    filename: filename.toString('utf8'),
    public: isTrue(headers, 'x-lxd-public'),
    cached: isTrue(headers, 'x-lxd-cached'),
    properties: Object.fromEntries(new URLSearchParams(properties)),
  };
}

function isTrue(headers: Headers, name: string): boolean {
  return ['true', '1'].includes(String(headers[name] ?? '').toLowerCase());
}

function checkFingerprint(fingerprint: string, headers: Headers): void {
  const expected = headers['x-lxd-fingerprint'];
  if (expected === undefined || expected === fingerprint) return;
  const sentence = fingerprintPattern.test(String(expected))
    ? `what came has ${fingerprint}, not ${String(expected)}; nothing was imported`
    : `"${String(expected)}" is no SHA-256: 64 lower-case hex digits`;
  throw invalid('X-LXD-fingerprint', sentence);
}
