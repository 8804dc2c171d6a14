import parseRange from 'range-parser';
import type { Image } from '../model/image.js';
import { multipart } from './multipart.js';
import { lengthOf, type Piece, sliceOf } from './pieces.js';

/** What a request for a file asks for beyond the file (RFC 9110, 13.1 and 14.2); '' where it says nothing. */
export interface Conditions {
  readonly range: string;
  readonly ifRange: string;
  readonly ifNoneMatch: string;
}

/** An answer with a file in it. */
export interface Download {
  readonly status: '200 OK' | '206 Partial Content' | '304 Not Modified' | '416 Range Not Satisfiable';
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly pieces: readonly Piece[];
}

/**
 * The export of an image, in LXD's form (lxd/images.go, imageExport): the file itself, or both files of a split image
 * as a multipart form. Unlike LXD's, the form has a length and the same bytes each time, so that a broken download of
 * it can be resumed as well.
 */
export function downloadOf(image: Image, { range, ifRange, ifNoneMatch }: Conditions): Download {
  const etag = `"${image.fingerprint}"`;
  if (isAmong(etag, ifNoneMatch)) return { status: '304 Not Modified', headers: [['ETag', etag]], pieces: [] };
  const pieces = piecesOf(image);
  const size = lengthOf(pieces);
  const headers = [...describe(image), ['ETag', etag], ['Accept-Ranges', 'bytes']] as const;
  const ranges = range === '' || (ifRange !== '' && ifRange !== etag) ? undefined : parseRange(size, range);
  if (ranges === -1) {
    return {
      status: '416 Range Not Satisfiable',
      headers: [
        ['Content-Range', `bytes */${size}`],
        ['Content-Length', '0'],
      ],
      pieces: [],
    };
  }
  // More than one range may be answered with everything (RFC 9110, 14.2), and so may what is not understood.
  const [first] = Array.isArray(ranges) && ranges.type === 'bytes' && ranges.length === 1 ? ranges : [];
  if (first === undefined) return { status: '200 OK', headers: [...headers, ['Content-Length', `${size}`]], pieces };
  const { start, end } = first;
  return {
    status: '206 Partial Content',
    headers: [...headers, ['Content-Range', `bytes ${start}-${end}/${size}`], ['Content-Length', `${end + 1 - start}`]],
    pieces: sliceOf(pieces, start, end + 1),
  };
}

/** Of a file whose first bytes say nothing. LXD's client ends with a panic when a name has no extension at all. */
const unknownExtension = '.img';

/** The name under which a client stores a file of the image. */
export function filenameOf({ fingerprint, files }: Image, index: number): string {
  const name = `${fingerprint}${files[index]?.extension || unknownExtension}`;
  return files.length === 2 && index === 0 ? `meta-${name}` : name;
}

function describe(image: Image): [string, string][] {
  if (image.files.length === 2) return [['Content-Type', `multipart/form-data; boundary=${boundaryOf(image)}`]];
  return [
    ['Content-Type', 'application/octet-stream'],
    ['Content-Disposition', `inline;filename="${filenameOf(image, 0)}"`],
  ];
}

function piecesOf(image: Image): Piece[] {
  const { files } = image;
  if (files.length === 1) return [{ file: 0, start: 0, end: files[0].size }];
  const names = ['metadata', image.type === 'virtual-machine' ? 'rootfs.img' : 'rootfs'];
  const form = files.map(({ size }, index) => ({
    name: names[index] as string,
    filename: filenameOf(image, index),
    size,
  }));
  return multipart(boundaryOf(image), form);
}

// No file holds its own hash, so the boundary cannot occur in one.
function boundaryOf({ fingerprint }: Image): string {
  return `devlxd-${fingerprint.slice(0, 48)}`;
}

/** Weak tags count as well (RFC 9110, 13.1.2). */
function isAmong(etag: string, list: string): boolean {
  return list.split(',').some((tag) => ['*', etag, `W/${etag}`].includes(tag.trim()));
}
