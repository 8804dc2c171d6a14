import { get } from 'node:http';
import { metricValue, type Sample } from '../metrics/exposition.js';
import type { Finding } from './finding.js';

const what = "source's guest socket";
const patienceMilliseconds = 2000;

/** Which process answers guests on a socket. */
type Answering = 'devlxd' | 'another' | 'nobody' | 'unknown';

/** None, without --source. The daemon says whether it has the socket; check asks which process answers there as well. */
export async function sourceSocket(samples: readonly Sample[]): Promise<Finding[]> {
  const taken = samples.find(({ name }) => name === 'devlxd_source_socket_taken');
  if (taken === undefined) return [];
  const { path = '', reason = '' } = taken.labels;
  if (taken.value !== 1) return [notTaken(reason, metricValue(samples, 'devlxd_source_connected') === 1)];
  const answering = await whoAnswers(path);
  if (answering === 'devlxd' || answering === 'unknown')
    return [{ what, value: `taken, ${path}`, meaning: 'its guests are answered by devlxd', state: 'ok' }];
  const value = `taken, ${path}, but answered by ${answering}`;
  return [{ what, value, meaning: 'look again; when it stays so, restart devlxd', state: 'bad' }];
}

function notTaken(reason: string, isConnected: boolean): Finding {
  const meaning = 'its guests are answered by LXD or Incus, and not by devlxd: docs/lxd.md says what devlxd needs';
  return { what, value: `not taken: ${reason}`, meaning, state: isConnected ? 'bad' : 'warning' };
}

/** The server that devlxd is built on names itself in each of its responses, as LXD and Incus do not. */
function whoAnswers(socketPath: string): Promise<Answering> {
  return new Promise((resolve) => {
    const asked = get(
      { socketPath, path: '/', headers: { host: 'lxd' }, agent: false, timeout: patienceMilliseconds },
      (response) => {
        response.resume();
        resolve(response.headers['uwebsockets'] === undefined ? 'another' : 'devlxd');
      },
    );
    asked.on('timeout', () => asked.destroy());
    // Only root can look into the mount namespace of another daemon; and LXD may have ended since.
    asked.on('error', ({ code }: NodeJS.ErrnoException) =>
      resolve(code === 'EACCES' || code === 'ENOENT' ? 'unknown' : 'nobody'),
    );
  });
}
