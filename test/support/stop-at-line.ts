// With NODE_OPTIONS=--import: SIGSTOP as soon as the line of the log that $STOP_AT_LINE names is written.
import fs from 'node:fs';

const write = fs.writeSync;
const line = process.env['STOP_AT_LINE'] ?? '';

fs.writeSync = ((fd: number, data: string, ...more: []) => {
  const written = write(fd, data, ...more);
  if (fd === 2 && String(data).includes(`"msg":"${line}"`)) process.kill(process.pid, 'SIGSTOP');
  return written;
}) as typeof fs.writeSync;
