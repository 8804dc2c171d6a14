// With NODE_OPTIONS=--import: SIGSTOP as soon as the line of the log that $STOP_AT_LINE names is written.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const write = fs.writeSync;
const line = process.env['STOP_AT_LINE'] ?? '';

fs.writeSync = ((fd: number, data: string | Buffer, ...more: []) => {
  const written = write(fd, String(data), ...more);
  if (String(data).includes(`"msg":"${line}"`)) process.kill(process.pid, 'SIGSTOP');
  return written;
}) as typeof fs.writeSync;
syncBuiltinESMExports();
