import { createHash, timingSafeEqual } from 'node:crypto';

/** What is asked for, when it may be had. */
export interface ScrapeRequest {
  /** with the metrics of each running instance */
  readonly perInstance: boolean;
  readonly gzip: boolean;
}

/** Why it is not answered with metrics. */
export interface Refusal {
  readonly status: string;
  readonly headers?: string;
  readonly sentence: string;
}

/** Bytes of a head: a scraper sends a few hundred. */
export const longestHead = 8 * 1024;

const badRequest: Refusal = { status: '400 Bad Request', sentence: 'This is no HTTP/1.1 request.' };
export const tooLong: Refusal = {
  status: '431 Request Header Fields Too Large',
  sentence: `The head of a request may have ${longestHead} bytes.`,
};

const targets: ReadonlyMap<string, boolean> = new Map([
  ['/metrics', false],
  ['/metrics?per=instance', true],
]);

/** The head of a request, without what follows. token: what the caller must show; undefined: nothing */
export function readScrapeRequest(head: string, token: string | undefined): ScrapeRequest | Refusal {
  const [line = '', ...rest] = head.split('\r\n');
  const [, method, target = ''] = /^([A-Z]+) (\S+) HTTP\/1\.[01]$/.exec(line) ?? [];
  const headers = headersOf(rest);
  if (method === undefined || headers === undefined) return badRequest;
  if (token !== undefined && !isEqual(headers.get('authorization') ?? '', `Bearer ${token}`))
    return {
      status: '401 Unauthorized',
      headers: 'WWW-Authenticate: Bearer\r\n',
      sentence: 'The bearer token of --metrics-token-file is needed.',
    };
  const [path] = target.split('?', 1);
  if (path !== '/metrics') return { status: '404 Not Found', sentence: 'There is nothing but /metrics here.' };
  if (method !== 'GET')
    return { status: '405 Method Not Allowed', headers: 'Allow: GET\r\n', sentence: 'The metrics can be read only.' };
  const perInstance = targets.get(target);
  if (perInstance === undefined)
    return { status: '400 Bad Request', sentence: 'There is /metrics, and /metrics?per=instance.' };
  return { perInstance, gzip: takesGzip(headers.get('accept-encoding') ?? '') };
}

/** By lower-case name; undefined: a line is none. */
function headersOf(lines: readonly string[]): Map<string, string> | undefined {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value = ''] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined) return undefined;
    headers.set(name.toLowerCase(), value);
  }
  return headers;
}

function takesGzip(accepted: string): boolean {
  return accepted.split(',').some((coding) => {
    const [name = '', ...parameters] = coding.split(';').map((part) => part.trim().toLowerCase());
    return name === 'gzip' && !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter));
  });
}

/** How long it takes says nothing of the token. */
function isEqual(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
