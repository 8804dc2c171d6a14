// What a request is, written down a second time, without a look at native/: docs/architecture.md and RFC 9112. Texts are
// latin1, so that a character is a byte.

/** A head that is whole and allowed. */
export interface Head {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  /** by name in lower case; of several the first, as uWebSockets gives them */
  readonly headers: ReadonlyMap<string, string>;
  readonly isHttp10: boolean;
  /** the client, or its version, ends the connection after the answer */
  readonly closes: boolean;
  /** bytes of the body; undefined: it comes in chunks */
  readonly length: number | undefined;
}

export type Read =
  | { readonly outcome: 'partial' }
  | { readonly outcome: 'refused'; readonly status: 400 | 431 | 501 }
  | { readonly outcome: 'head'; readonly head: Head; readonly rest: string };

export interface Body {
  readonly outcome: 'partial' | 'bad' | 'whole';
  readonly content: string;
  readonly rest: string;
}

const mostHead = 128 * 1024;
const mostHeaders = 96;
const mostDigits = 15;
const largestChunk = 2 ** 44;

const partial = { outcome: 'partial' } as const;
const badRequest = { outcome: 'refused', status: 400 } as const;
const tooLarge = { outcome: 'refused', status: 431 } as const;
const requestLine = /^([\w!#$%&'*+.^`|~-]+) ([!-~\x80-\xff]+) HTTP\/1\.([01])$/;
const header = /^([\w!#$%&'*+.^`|~-]+):([\t -~\x80-\xff]*)$/;
const absolute = /^[A-Za-z][^/?#]*?:\/\/[^/?#]*(.*)$/s;

function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}

/** Path and query of whatever form; undefined: it has none. */
function originForm(target: string): string | undefined {
  if (target.startsWith('/')) return target;
  if (target === '*') return '/*';
  const rest = absolute.exec(target)?.[1];
  return rest === undefined || rest.startsWith('/') ? rest : `/${rest}`;
}

function listed(value: string): string[] {
  const elements = value.split(',').map((element) => element.replace(/^[ \t]+|[ \t]+$/g, '').toLowerCase());
  return elements.filter((element) => element !== '');
}

/** uWebSockets takes bytes beyond ASCII at the ends of a value for spaces, which says nothing about how requests are framed. */
function trimmedByUws(value: string): string {
  return value.replace(/^[\t \x80-\xff]+|[\t \x80-\xff]+$/g, '');
}

/** The next request of a connection. */
export function readHead(text: string): Read {
  const data = text.replace(/^(?:\r?\n)+/, '');
  const end = /\n\r?\n/.exec(data);
  const length = end === null ? data.length : end.index + end[0].length;
  if (length > mostHead) return tooLarge;
  const [first = '', ...lines] = data.slice(0, length).split('\n').map(withoutReturn);
  const [, method = '', target = '', minor] = requestLine.exec(first) ?? [];
  const place = originForm(target);
  const isLine = method !== '' && place !== undefined;
  if (end === null) return isLine || !data.includes('\n') ? partial : badRequest;
  if (!isLine) return badRequest;
  const headers = lines.slice(0, -2).map((line) => header.exec(line));
  if (headers.includes(null)) return badRequest;
  const fields = headers.map((match) => {
    const [, name = '', value = ''] = match as RegExpExecArray;
    return [name.toLowerCase(), value.replace(/^[ \t]+|[ \t]+$/g, '')] as const;
  });
  const isHttp10 = minor === '0';
  const framing = framingOf(fields, isHttp10);
  if (typeof framing === 'object') return framing;
  const options = fields.filter(([name]) => name === 'connection').flatMap(([, value]) => listed(value));
  const closes = options.includes('close') || (isHttp10 && !options.includes('keep-alive'));
  const [path = '', query = ''] = place.split(/\?(.*)/s);
  const byName = new Map(fields.map(([name, value]) => [name, trimmedByUws(value)] as const).reverse());
  return {
    outcome: 'head',
    head: { method, path, query, headers: byName, isHttp10, closes, length: framing },
    rest: data.slice(length),
  };
}

/** How long its body is; undefined: chunks. */
function framingOf(
  fields: readonly (readonly [string, string])[],
  isHttp10: boolean,
): number | undefined | Extract<Read, { outcome: 'refused' }> {
  const valuesOf = (wanted: string) => fields.filter(([name]) => name === wanted).map(([, value]) => value);
  const lengths = valuesOf('content-length');
  const codings = valuesOf('transfer-encoding');
  if (valuesOf('host').length > 1 || new Set(lengths.map(Number)).size > 1) return badRequest;
  if (lengths.some((length) => !/^\d+$/.test(length) || length.length > mostDigits)) return badRequest;
  if (codings.some((coding) => listed(coding).length === 0)) return badRequest;
  const all = codings.flatMap(listed);
  if (all.length > 0 && (lengths.length > 0 || isHttp10 || all.indexOf('chunked') !== all.length - 1))
    return badRequest;
  const others = fields.filter(([name]) => name !== 'host' && name !== 'connection');
  if (others.length > mostHeaders) return tooLarge;
  if (all.length > 1) return { outcome: 'refused', status: 501 };
  return all.length === 1 ? undefined : Number(lengths[0] ?? 0);
}

export function readBody(text: string, length: number | undefined): Body {
  if (length === undefined) return readChunks(text);
  const outcome = text.length < length ? 'partial' : 'whole';
  return { outcome, content: text.slice(0, length), rest: text.slice(length) };
}

const sizeLine = /^([\da-f]+)(?:;[\t -~\x80-\xff]*)?\r\n/i;
const partOfSizeLine = /^(?:[\da-f]*|[\da-f]+\r|[\da-f]+;[\t -~\x80-\xff]*\r?)$/i;
const trailers = /^(?:[\t -~\x80-\xff]+\r\n)*\r\n/;
const partOfTrailers = /^(?:[\t -~\x80-\xff]+\r\n)*(?:[\t -~\x80-\xff]*\r?)$/;

/** One chunk, whose content '' means the last; or why there is none. */
function readChunk(text: string): 'partial' | 'bad' | { readonly content: string; readonly rest: string } {
  const [line, digits = ''] = sizeLine.exec(text) ?? [];
  const size = Number.parseInt(digits || (/^[\da-f]+/i.exec(text)?.[0] ?? '0'), 16);
  if (size > largestChunk) return 'bad';
  if (line === undefined) return partOfSizeLine.test(text) ? 'partial' : 'bad';
  const rest = text.slice(line.length);
  if (size === 0) return { content: '', rest };
  const end = rest.slice(size, size + 2);
  if (!'\r\n'.startsWith(end)) return 'bad';
  return end === '\r\n' ? { content: rest.slice(0, size), rest: rest.slice(size + 2) } : 'partial';
}

function readChunks(text: string): Body {
  let rest = text;
  let content = '';
  for (;;) {
    const chunk = readChunk(rest);
    if (typeof chunk === 'string') return { outcome: chunk, content, rest };
    rest = chunk.rest;
    if (chunk.content === '') break;
    content += chunk.content;
  }
  const whole = trailers.exec(rest);
  if (whole === null) return { outcome: partOfTrailers.test(rest) ? 'partial' : 'bad', content, rest };
  return { outcome: 'whole', content, rest: rest.slice(whole[0].length) };
}
