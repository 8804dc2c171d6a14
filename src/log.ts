import { EventEmitter } from 'node:events';
import { type Logger, pino } from 'pino';

export type Log = Logger;

/** Every line written to the log, as JSON, for clients that follow it over the API. */
export class LogLines extends EventEmitter<{ line: [string] }> {}

/** JSON lines for programs; readable lines for people. Both go to standard error and are written at once. */
export async function createLog(level: string, format: string, lines = new LogLines()): Promise<Log> {
  const readable = format === 'pretty' || (format === 'auto' && process.stderr.isTTY === true);
  const streamWrite = (line: string): string => {
    lines.emit('line', line);
    return line;
  };
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, hooks: { streamWrite } };
  if (!readable) return pino(options, pino.destination({ dest: 2, sync: true }));
  const { default: pretty } = await import('pino-pretty');
  return pino(options, pretty({ destination: 2, sync: true, colorize: process.stderr.isTTY === true }));
}
