import type { IncomingMessage } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Busboy, type BusboyFileStream, type BusboyInstance } from '@fastify/busboy';
import { Fault, invalid } from '../errors.js';
import type { Upload } from '../images/upload.js';
import type { ImageType } from '../model/image.js';
import { cutOff } from './read-body.js';

/**
 * Reads what POST /1.0/images carries: one file (application/octet-stream), or metadata and rootfs of a split image
 * as a multipart form, in this order; `rootfs.img` is a virtual machine's.
 * @throws Fault invalid-value, also when the connection ends before all of it has come
 */
export async function receiveImage(request: IncomingMessage, upload: Upload): Promise<ImageType> {
  const type = request.headers['content-type'] ?? 'application/octet-stream';
  if (type.startsWith('multipart/form-data')) return receiveForm(bodyOf(request), type, upload);
  if (type.startsWith('application/json')) {
    throw new Fault('not-implemented', 'devlxd downloads no images; send the file itself');
  }
  await upload.add(bodyOf(request));
  return 'container';
}

/** In a stream of its own: when an upload is refused half-way that is what ends, and the request can be read on. */
function bodyOf(request: IncomingMessage): Readable {
  const body = new PassThrough();
  request.on('error', () => body.destroy(cutOff()));
  return request.pipe(body);
}

async function receiveForm(body: Readable, type: string, upload: Upload): Promise<ImageType> {
  const names: string[] = [];
  let receiving: Promise<void> = Promise.resolve();
  let current: BusboyFileStream | undefined;
  const form = formOf(type);
  form.on('file', (name, file) => {
    names.push(name);
    current = file;
    file.on('error', () => undefined); // upload.add fails with it, once it is the file's turn
    const wrong = wrongPart(names);
    // One after the other: the fingerprint is that of the files in their order.
    receiving = receiving.then(() => (wrong === undefined ? upload.add(file) : Promise.reject(wrong)));
    receiving.catch((error: Error) => form.destroy(error));
  });
  try {
    await pipeline(body, form);
    await receiving;
  } catch (error) {
    current?.destroy(error as Error);
    await receiving.catch(() => undefined);
    throw error instanceof Fault ? error : invalid('body', `not a whole form: ${(error as Error).message}`);
  }
  if (names.length !== 2) throw invalid('body', 'a split image has two files: metadata and rootfs');
  return names[1] === 'rootfs.img' ? 'virtual-machine' : 'container';
}

function formOf(type: string): BusboyInstance {
  try {
    return new Busboy({ headers: { 'content-type': type } });
  } catch (error) {
    throw invalid('Content-Type', (error as Error).message);
  }
}

function wrongPart(names: readonly string[]): Fault | undefined {
  const [first, second, third] = names;
  const right =
    first === 'metadata' && (second === undefined || /^rootfs(\.img)?$/.test(second)) && third === undefined;
  return right
    ? undefined
    : invalid('body', `the files of a split image are metadata and rootfs, not ${names.join(', ')}`);
}
