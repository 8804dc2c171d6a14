/** A request that has come whole, and leaves nothing to be understood in two ways. */
export interface PlainRequest {
  readonly method: string;
  /** as it was sent */
  readonly url: string;
  /** by their names in lower case; each came once */
  readonly headers: Readonly<Record<string, string>>;
  /** lies where it was read, and is overwritten by what is read next */
  readonly body: Buffer;
}

/** Half of what node:http takes, so that all limits of heads are its own. */
const longestHead = 8 * 1024;
const mostHeaders = 64;

const requestLine = /^(GET|PUT|PATCH|POST|DELETE) (\/[\w\-.~!$&'()*+,;=:@%/?]*) HTTP\/1\.1\r\n/;
const headerLine = /([!#$%&'*+\-.^_`|~\w]+):[ \t]*([\x21-\x7e](?:[ -\x7e\t]*[\x21-\x7e])?)[ \t]*\r\n/y;
const contentLength = /^(?:0|[1-9]\d{0,6})$/;

/** Of these there is more to know than one request: node:http does. */
const others = new Set([
  'expect',
  'http2-settings',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  '__proto__',
]);

/**
 * The request that these bytes are, if they are one in plain HTTP/1.1, and nothing but that one. undefined: they are
 * something else, or it cannot be said yet; node:http says what.
 */
export function plainRequestIn(bytes: Buffer): PlainRequest | undefined {
  const end = bytes.indexOf('\r\n\r\n', 0, 'latin1');
  if (end < 0 || end > longestHead) return undefined;
  const head = bytes.toString('latin1', 0, end + 2);
  const [line, method, url] = requestLine.exec(head) ?? [];
  if (line === undefined || method === undefined || url === undefined) return undefined;
  const headers = knownHeadersIn(head.slice(line.length));
  if (headers === undefined) return undefined;
  const body = bytes.subarray(end + 4);
  const length = headers['content-length'] ?? '0';
  if (!contentLength.test(length) || Number(length) !== body.length) return undefined;
  return { method, url, headers, body };
}

type Headers = PlainRequest['headers'];

/** A client sends the same ones with most of its requests. */
const known = new Map<string, Headers>();
const mostKnown = 64;
const longestKnown = 512;

function knownHeadersIn(lines: string): Headers | undefined {
  const before = known.get(lines);
  if (before !== undefined) return before;
  const headers = headersIn(lines);
  if (headers === undefined || lines.length > longestKnown) return headers;
  if (known.size === mostKnown) known.clear();
  known.set(lines, headers);
  return headers;
}

function headersIn(head: string): Headers | undefined {
  const headers: Record<string, string> = {};
  let count = 0;
  headerLine.lastIndex = 0;
  while (headerLine.lastIndex < head.length) {
    const [, written, value] = headerLine.exec(head) ?? [];
    if (written === undefined || value === undefined || ++count > mostHeaders) return undefined;
    const name = written.toLowerCase();
    if (others.has(name) || Object.hasOwn(headers, name)) return undefined;
    headers[name] = value;
  }
  const { host, connection = 'keep-alive' } = headers;
  return host !== undefined && connection.toLowerCase() === 'keep-alive' ? headers : undefined;
}
