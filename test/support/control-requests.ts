// Requests to the control socket, plain and odd, as bytes.

/** One a line; \r, \n, \t, \0 and \xNN stand for what they stand for in JavaScript. */
function listed(lines: string): string[] {
  const escapes: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t', 0: '\0' };
  return lines
    .split('\n')
    .map((line) => line.trimStart())
    .filter((line) => line !== '')
    .map((line) =>
      line.replace(/\\(?:x([0-9a-f]{2})|([rnt0s]))/g, (_, hex, letter) =>
        hex === undefined ? (escapes[letter] ?? ' ') : String.fromCharCode(Number.parseInt(hex, 16)),
      ),
    );
}

export interface Asked {
  readonly line?: string;
  readonly headers?: readonly string[];
  readonly body?: string;
}

export function request({ line = 'GET /1.0/instances/c1', headers = [], body = '' }: Asked): string {
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  return [`${line} HTTP/1.1`, 'Host: x', ...headers, ...length, '', body].join('\r\n');
}

export const patch = request({ line: 'PATCH /1.0/instances/c2', body: '{"config":{"user.b":"é"}}' });

const lines = listed(String.raw`
  GET /
  GET /1.0
  GET /1.0/
  GET /1.0/instances/c1
  GET /1.0/instances/c1/
  GET /1.0/instances//c1
  GET /1.0/none
  GET /2.0
  GET //x
  GET /1.0/instances/%63%31
  GET /1.0/instances/%zz
  GET /1.0/instances/%ff
  GET /1.0/instances/c1?project=none
  GET /1.0/instances/c1?project=default&x=%20
  GET /1.0/instances/c1?a=%ff
  GET /1.0/instances/c1#part
  GET /1.0/instances/c1|
  GET /1.0/instances/"c1"
  GET /1.0/instances/c1\
  GET /1.0/instances/\xe9
  GET /1.0/instances
  GET /1.0/instances?recursion=1&filter=name%20eq%20c1
  GET /1.0/instances?filter=name+eq+c1
  GET /1.0/instances?filter=%
  GET /1.0/../1.0/projects
  GET /1.0/instances/..
  GET /1.0/profiles/default
  GET /1.0/profiles/none
  GET /1.0/projects?recursion=1
  GET /1.0/operations/none/wait
  GET /1.0/events
  GET /1.0/takeover
  GET /1.0/metrics?per=x
  GET /1.0/images
  GET /1.0/images/none/export
  GET /1.0/identity/keys
  GET *
  GET c1
  GET http://x/1.0/instances/c1
  GET http://x
  HEAD /1.0/instances/c1
  HEAD /1.0/instances
  HEAD /1.0/none
  POST /1.0/instances/none
  PUT /1.0/instances/none
  PUT /1.0
  PATCH /1.0/instances/none
  DELETE /1.0/instances/none
  DELETE /1.0/operations/none
  OPTIONS /1.0
  OPTIONS *
  CONNECT x:1
  TRACE /1.0
  get /1.0
  NONE /1.0
`);

const bodies = [
  ...listed(String.raw`
    {}
    {"config":{"user.b":"2"}}
    {"config":{"user.b":"é€"}}
    \s{"description":"d"}\s
    []
    1
    null
    {
    {"cofnig":{}}
    {"config":{"nonsense":"1"}}
    {"config":[]}
    {"config":{"user.b":1}}
    {"config":null,"profiles":null}
    {"devices":{"a":{}}}
    {"__proto__":{"config":{}}}
    {"config":{"\ud800":"1"}}
  `),
  '['.repeat(40),
  `{"config":{"${'k'.repeat(2000)}":"1"}}`,
  `{"config":{"user.long":"${'x'.repeat(20_000)}"}}`,
  `{"config":{"user.long":"${'x'.repeat(61_000)}"}}`,
];

const headers = [
  ...listed(String.raw`
    Connection: keep-alive
    Connection: Keep-Alive
    Connection: close
    Connection:
    Connection: a, close
    Connection: Upgrade\r\nUpgrade: h2c
    Connection: Upgrade\r\nUpgrade: websocket
    Upgrade: websocket
    Proxy-Connection: close
    Expect: 100-continue
    Expect: x
    TE: trailers
    Transfer-Encoding: chunked\r\n\r\n0
    Transfer-Encoding: gzip, chunked
    Content-Length: 0
    Content-Length: 00
    Content-Length: +0
    Content-Length: 0\r\nContent-Length: 0
    Content-Length: 0\r\nContent-Length: 1
    Content-Length: 0, 0
    Content-Length: x
    Content-Length: -1
    Content-Length: 99999999999999999999
    Content-Length:
    Content-Length: 0\r\nTransfer-Encoding: chunked
    Host: y
    Host:
    If-Match: x
    If-Match: x\r\nIf-Match: y
    X-A : b
    \sX-A: b
    X-A: b\r\n c
    X-A: b\r\n\tc
    X-A:b
    X-A:\tb\t
    X-A
    : b
    X A: b
    X-A: \x01
    X-A: \x7f
    X-A: \x80
    X-\xc4: b
    X-A: b\rc
    X-A: b\nX-B: c
    X-A: b\r\r
    __proto__: x
    constructor: x
    Accept: application/x-ndjson
    Content-Type: text/plain
    Keep-Alive: timeout=1
  `),
  `X-A: ${'a'.repeat(9_000)}`,
  `X-A: ${'a'.repeat(20_000)}`,
  Array.from({ length: 100 }, (_, n) => `X-${n}: ${n}`).join('\r\n'),
];

const get = request({});

const whole = [
  get.replace('1.1\r', '1.0\r'),
  get.replace('1.1\r', '1.2\r'),
  get.replace('1.1\r', '2.0\r'),
  get.replace('HTTP/1.1', 'http/1.1'),
  get.replace(' HTTP/1.1', ''),
  get.replace(' HTTP/1.1', '  HTTP/1.1'),
  get.replace(' HTTP/1.1', ' HTTP/1.1 '),
  get.replace(' /', '  /'),
  get.replaceAll('\r\n', '\n'),
  get.replace('\r\n', '\n'),
  get.replace('Host: x\r\n', ''),
  get.replace('Host: x', 'Host: x\r\nHost: x'),
  `\r\n${get}`,
  ` ${get}`,
  '\0',
  '\x16\x03\x01\x00\xa5',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  request({ line: 'POST /1.0/images', body: 'image' }),
  request({ line: 'POST /1.0/hooks/none', body: '{}' }),
  request({ body: '{"a":1}' }),
  request({ body: 'x' }),
  ...['application/x-ndjson', 'application/x-ndjson; charset=utf-8', 'text/plain'].map((type) =>
    request({
      line: 'POST /1.0/instances',
      headers: [`Content-Type: ${type}`],
      body: '{"name":"c1"}\n{"name":"c1"}\n',
    }),
  ),
];

const notText = '{"config":{"user.b":"é"}}';

/** Each is one request, or none. */
export const requests: readonly Buffer[] = [
  ...lines.map((line) => request({ line })),
  ...headers.map((header) => request({ headers: [header] })),
  ...headers.map((header) => request({ line: 'PUT /1.0/instances/c2', headers: [header], body: '{}' })),
  ...whole,
  request({ line: 'PATCH /1.0/instances/c2', headers: [`Content-Length: ${notText.length}`] }) + notText,
]
  .map((text) => Buffer.from(text, 'latin1'))
  .concat(bodies.map((body) => Buffer.from(request({ line: 'PATCH /1.0/instances/c2', body }))));
