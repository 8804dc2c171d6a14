import { hostname } from 'node:os';
import { GuestLoad } from './guest-load.js';
import type { Bench, Side } from './trial.js';

/** The answer that everyone gives in the trials, so that all send the same number of bytes. */
export interface Answer {
  /** status line and headers with the blank line, as devlxd sends them */
  readonly head: string;
  readonly body: string;
}

/** What GET /1.0 has to be; written down here, so that a daemon that answers wrongly does not set the standard. */
export const expectedBody = `${JSON.stringify({
  state: 'Started',
  api_version: '1.0',
  instance_type: 'container',
  location: hostname(),
  auth: 'untrusted',
  supported_storage_drivers: [],
})}\n`;

/** Asks the daemon once, in a guest, for the head that the others imitate. */
export async function askForAnswer(bench: Omit<Bench, 'answer'>, daemon: Side): Promise<Answer> {
  const body = expectedBody;
  const server = await daemon.start({ ...bench, answer: { head: '', body } });
  try {
    const load = await GuestLoad.prepare(bench, server, ['--once', '--expect-body', body]);
    const { code, output, complaints } = await load.finish();
    if (code !== 0) throw new Error(`devlxd does not answer GET /1.0 as it has to: ${complaints}`);
    return { head: output.slice(0, output.length - body.length), body };
  } finally {
    await server.stop();
  }
}

/** The headers of a head that node:http does not write itself. */
export function ownHeaders(head: string): [string, string][] {
  const lines = head.split('\r\n').filter((line) => line.includes(': '));
  const pairs = lines.map((line): [string, string] => {
    const colon = line.indexOf(': ');
    return [line.slice(0, colon), line.slice(colon + 2)];
  });
  return pairs.filter(([name]) => !['date', 'content-length'].includes(name.toLowerCase()));
}
