import type { SourceName } from '../model/instance.js';
import { type BodyReply, json, type Status } from './guest-reply.js';

/** The sentences that differ between the daemons whose guests ask. */
interface Sentences {
  readonly badRequest: string;
  readonly forbidden: string;
  readonly notFound: string;
  /** of an image; left out: as of anything else */
  readonly noSuchImage?: (fingerprint: string) => string;
  readonly unknownCaller: string;
  readonly internal: string;
  readonly notImplemented: string;
}

const errorType = 'text/plain; charset=utf-8';

export function badRequest(sentence: string): BodyReply {
  return failure('400 Bad Request', sentence);
}

function failure(status: Status, sentence: string): BodyReply {
  return { kind: 'body', status, type: errorType, body: `${sentence}\n` };
}

/** An error of the images' endpoint, which has the form of LXD's main API (lxd/response, errorResponse). */
function imageFailure(status: Status, sentence: string): BodyReply {
  const error_code = Number(status.slice(0, 3));
  const envelope = { type: 'error', status: '', status_code: 0, operation: '', error_code, error: sentence };
  return { ...json({ ...envelope, metadata: null }), status };
}

function errorsIn(sentences: Sentences) {
  return {
    badRequest: badRequest(sentences.badRequest),
    notRoot: failure('401 Unauthorized', 'Access denied for non-root user'),
    forbidden: failure('403 Forbidden', sentences.forbidden),
    gone: failure('410 Gone', 'Gone'),
    noProToken: failure('403 Forbidden', 'Failed getting an Ubuntu Pro guest token: Guest attachment not allowed'),
    bodyTooLarge: { ...failure('413 Payload Too Large', 'Request body too large'), closes: true } as const,
    notFound: failure('404 Not Found', sentences.notFound),
    unknownCaller: { ...failure('500 Internal Server Error', sentences.unknownCaller), closes: true } as const,
    imagesForbidden: imageFailure('403 Forbidden', sentences.forbidden),
    noSuchImage: (fingerprint: string) =>
      imageFailure('404 Not Found', sentences.noSuchImage?.(fingerprint) ?? sentences.notFound),
    imageUnreadable: imageFailure('500 Internal Server Error', sentences.internal),
    imagesAway: imageFailure('503 Service Unavailable', 'Images cannot be had at the moment; try again later'),
    internal: failure('500 Internal Server Error', sentences.internal),
    stopping: { ...failure('503 Service Unavailable', 'devlxd is stopping; ask again'), closes: true } as const,
    notImplemented: failure('501 Not Implemented', sentences.notImplemented),
  } as const;
}

export type Errors = ReturnType<typeof errorsIn>;

/** The errors of the guest API. Clients show or compare these sentences. */
export const errors = errorsIn({
  badRequest: 'Bad Request',
  forbidden: 'Forbidden',
  notFound: 'Not Found',
  unknownCaller: 'Process ID not found in container',
  internal: 'Internal Server Error',
  notImplemented: 'Not Implemented',
});

// cmd/incusd/dev_incus.go, and internal/server/response/response.go for images.
const incusErrors = errorsIn({
  badRequest: 'bad request',
  forbidden: 'not authorized',
  notFound: 'not found',
  noSuchImage: (fingerprint) => `Image ${JSON.stringify(fingerprint)} not found`,
  unknownCaller: 'pid not in container?',
  internal: 'internal server error',
  notImplemented: 'not implemented',
});

const errorsBySource: Readonly<Record<SourceName, Errors>> = {
  lxd: errors,
  etcd: errors,
  incus: { ...incusErrors, imagesForbidden: incusErrors.forbidden }, // as text
};

/** The same in the words of the daemon whose guest asks. source: of the instance; undefined: it is our own */
export function errorsOf(source: SourceName | undefined): Errors {
  return source === undefined ? errors : errorsBySource[source];
}
