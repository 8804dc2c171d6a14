// Requests of every kind, for a guest whose user.mark is "value", and whose user.big is long.

export const state = '{"state":"Ready"}';
export const get = 'GET /1.0/config/user.mark HTTP/1.1\r\nHost: x\r\n\r\n';
export const patch = `PATCH /1.0 HTTP/1.1\r\nHost: x\r\nContent-Length: ${state.length}\r\n\r\n${state}`;
const chunked = `PATCH /1.0 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n8;a=b\r\n{"state"\r\n9\r\n:"Ready"}\r\n0\r\nX: y\r\n\r\n`;

/** What comes first on a connection, and how many answers it has. */
export const firsts: Readonly<Record<string, readonly [string, number]>> = {
  nothing: ['', 0],
  GET: [get, 1],
  PATCH: [patch, 1],
  'PATCH in chunks': [chunked, 1],
  HEAD: [get.replace('GET', 'HEAD'), 1],
  'a long GET': [get.replace('\r\n\r\n', `\r\nX-Long: ${'x'.repeat(1100)}\r\n\r\n`), 1],
  'a GET with a body': [get.replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\nGET /'), 1],
  'a large answer': [get.replace('user.mark', 'user.big'), 1],
  '404': [get.replace('user.mark', 'user.none'), 1],
  '501': [get.replace('GET', 'DELETE'), 1],
  '501 with a body': [`${get.replace('GET', 'POST').replace('\r\n\r\n', '\r\nContent-Length: 4\r\n\r\n')}GET `, 1],
  'two at once': [get + get, 2],
  'PATCH and GET at once': [patch + get, 2],
  'an odd one': ['GET http://lxd/1.0/config/user.mark HTTP/1.1\r\n\r\n', 1],
  'an HTTP/1.0 that is kept': ['GET /1.0/config/user.mark HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', 1],
};

export const seconds: Readonly<Record<string, readonly [request: string, answer: RegExp]>> = {
  plain: [get, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nvalue$/],
  'in absolute form': [get.replace('/1.0', 'http://lxd/1.0'), /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nvalue$/],
  'without Host': ['GET /1.0/config/user.mark HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nvalue$/],
  'with bare line feeds': [get.replaceAll('\r', ''), /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nvalue$/],
  'with an option that uWebSockets takes for close': [
    get.replace('\r\n\r\n', '\r\nConnection: close\xe9\r\n\r\n'),
    /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nvalue$/,
  ],
  'of HTTP/1.0': ['GET /1.0/config/user.mark HTTP/1.0\r\n\r\n', /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nvalue$/],
  'with Content-Length: 0': [
    'POST /1.0/ubuntu-pro/token HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n',
    /^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*Guest attachment not allowed\n$/,
  ],
  'with a body': [patch, /^HTTP\/1\.1 200 OK\r\n/],
  'with a body in chunks': [chunked, /^HTTP\/1\.1 200 OK\r\n/],
};

export const head = 'GET /1.0 HTTP/1.1\r\nHost: x\r\n';
export const refused: Readonly<Record<string, readonly [string, number]>> = {
  'a space before the colon': [`${head}A : b\r\n\r\n`, 400],
  'a folded line': [`${head}A: b\r\n c\r\n\r\n`, 400],
  'a line that begins with a tab': [`${head}A: b\r\n\tc: d\r\n\r\n`, 400],
  'a bare CR in a value': [`${head}A: b\rc\r\n\r\n`, 400],
  'a bare CR in the request line': ['GET /1.0\r HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  'NUL in a value': [`${head}A: b\0c\r\n\r\n`, 400],
  'NUL in a name': [`${head}A\0: b\r\n\r\n`, 400],
  'NUL in the target': ['GET /1.0\0 HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  'a control character': [`${head}A: b\x01\r\n\r\n`, 400],
  DEL: [`${head}A: \x7f\r\n\r\n`, 400],
  'an empty name': [`${head}: b\r\n\r\n`, 400],
  'a name that is no token': [`${head}A(b): c\r\n\r\n`, 400],
  'a line without a colon': [`${head}AB\r\n\r\n`, 400],
  'two spaces in the request line': ['GET  /1.0 HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  'a space in the target': ['GET /1.0 x HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  'a space behind the version': ['GET /1.0 HTTP/1.1 \r\nHost: x\r\n\r\n', 400],
  'a tab in the request line': ['GET\t/1.0 HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  'no version': ['GET /1.0\r\n\r\n', 400],
  'HTTP/2.0': ['GET /1.0 HTTP/2.0\r\nHost: x\r\n\r\n', 400],
  'HTTP/0.9': ['GET /1.0 HTTP/0.9\r\nHost: x\r\n\r\n', 400],
  'a version in lower case': ['GET /1.0 http/1.1\r\nHost: x\r\n\r\n', 400],
  'a target without a slash': ['GET 1.0 HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  'an authority': ['CONNECT lxd:80 HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  'a method that is no token': ['G(T /1.0 HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  'two hosts': [`${head}Host: y\r\n\r\n`, 400],
  'two lengths': [`${head}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`, 400],
  'a list of lengths': [`${head}Content-Length: 5, 5\r\n\r\nhello`, 400],
  'a length and chunks': [`${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
  'chunks and a length': [`${head}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`, 400],
  'a negative length': [`${head}Content-Length: -1\r\n\r\n`, 400],
  'a length with a sign': [`${head}Content-Length: +1\r\n\r\nx`, 400],
  'a hexadecimal length': [`${head}Content-Length: 0x1\r\n\r\nx`, 400],
  'an empty length': [`${head}Content-Length:\r\n\r\n`, 400],
  'a length of twenty digits': [`${head}Content-Length: 99999999999999999999\r\n\r\n`, 400],
  'chunks twice': [`${head}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`, 400],
  'chunks that are not last': [`${head}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`, 400],
  'chunks in HTTP/1.0': ['PATCH /1.0 HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
  'another coding': [`${head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 501],
  'a size that is none': [`${patch.split('\r\nContent')[0]}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`, 400],
  'a size with a space': [`${patch.split('\r\nContent')[0]}\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n`, 400],
  'a chunk longer than its size': [
    `${patch.split('\r\nContent')[0]}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n`,
    400,
  ],
};
