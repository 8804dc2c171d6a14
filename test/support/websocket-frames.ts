export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export const upgrade =
  'GET /1.0/events HTTP/1.1\r\nHost: lxd\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';

/** One frame of a client, masked with zeros; at most 125 bytes of payload. */
export function frame(opcode: number, payload: number, { masked = true, last = true } = {}): Buffer {
  const head = [(last ? 0x80 : 0) | opcode, (masked ? 0x80 : 0) | payload];
  return Buffer.concat([Buffer.from(head), Buffer.alloc(masked ? 4 : 0), Buffer.alloc(payload, 'x')]);
}

/** Many of them; before: bytes that come first. */
export function frames(opcode: number, payload: number, count: number, before = '', how = {}): Buffer {
  const one = frame(opcode, payload, how);
  return Buffer.concat([Buffer.from(before), ...Array.from({ length: count }, () => one)]);
}
