import type { Random } from './random.js';

const noImage = `/1.0/images/${'f'.repeat(64)}/export`;

const targets = [
  '/',
  '/1.0',
  '/1.0/',
  '/1.0/config',
  '/1.0/config/user.mark',
  '/1.0/config/user.big',
  '/1.0/config/user.m%61rk',
  '/1.0/config/user.%zz',
  '/1.0/config/cloud-init.user-data',
  '/1.0/devices',
  '/1.0/events',
  '/1.0/events?type=config&since=2026-01-01T00:00:00.000000000Z',
  '/1.0/events?since=x',
  '/1.0/meta-data',
  '/1.0/ubuntu-pro',
  '/1.0/ubuntu-pro/token',
  noImage,
  '/1.0/images/IMAGE/export',
  '/1.0/../etc/passwd',
  '//1.0',
  '/%',
  '*',
  '',
];
const methods = [
  'GET',
  'GET',
  'GET',
  'GET',
  'HEAD',
  'PATCH',
  'POST',
  'PUT',
  'DELETE',
  'OPTIONS',
  'CONNECT',
  'get',
  'G\0T',
];
const headers = [
  'Accept: */*',
  'Connection: keep-alive',
  'Connection: close',
  'Connection: Upgrade',
  'Content-Length: 0',
  'Content-Length: 17',
  'Content-Length: -1',
  'Content-Length: 99999999999999999999',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Expect: 100-continue',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Extensions: permessage-deflate',
  'Range: bytes=0-10',
  'Range: bytes=5-1',
  'If-None-Match: *',
  'X: \x01\x7f\xff',
  ' folded: header',
  'no colon',
  ': empty',
];
const bodies = [
  '',
  '{"state":"Ready"}',
  '{"state":"Started"}',
  '{"state":"x"}',
  '{',
  '11\r\n{"state":"Ready"}\r\n0\r\n\r\n',
  'zz\r\n',
];

/** image: fingerprint of one that guests may export */
export function request(random: Random, image: string): Buffer {
  if (random.percent(10)) return upgrade(random);
  const target = random.pick(targets).replace('IMAGE', image);
  const absolute = random.percent(10) ? `http://lxd${target}` : target;
  const line = `${random.pick(methods)} ${absolute} ${random.pick(['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2'])}`;
  const chosen = random.percent(90) ? ['Host: lxd'] : [];
  while (random.percent(40)) chosen.push(random.pick(headers));
  if (random.percent(3)) chosen.push(`X-Long: ${'l'.repeat(random.below(20_000))}`);
  const end = random.percent(90) ? '\r\n' : '\n';
  return Buffer.from(`${[line, ...chosen].join(end)}${end}${end}${random.pick(bodies)}`, 'latin1');
}

function upgrade(random: Random): Buffer {
  const lines = [
    'GET /1.0/events HTTP/1.1',
    'Host: lxd',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
  ];
  const parts = [Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)];
  while (random.percent(60)) parts.push(frame(random));
  return Buffer.concat(parts);
}

/** A WebSocket frame (RFC 6455, 5.2), not always one that is allowed. */
function frame(random: Random): Buffer<ArrayBuffer> {
  const opcode = random.pick([0x1, 0x2, 0x0, 0x8, 0x9, 0xa, 0x3, 0xf]);
  const payload = random.bytes(random.below(random.percent(10) ? 2000 : 20));
  const first = (random.percent(80) ? 0x80 : 0) | (random.percent(5) ? 0x40 : 0) | opcode;
  const masked = random.percent(90) ? 0x80 : 0;
  const length = random.percent(95) ? Math.min(payload.length, 125) : random.below(128);
  return Buffer.concat([Buffer.from([first, masked | length]), random.bytes(masked ? 4 : 0), payload.subarray(0, 125)]);
}
