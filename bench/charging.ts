import { devlxd } from './daemon.js';
import { requestColumns, serverTime } from './requests.js';
import type { Trial } from './trial.js';

/** More than any load asks for: everything is charged, and nothing waits. */
const never = '999999999';

/** What it costs that work is charged to its instance. */
export function charging(): Trial {
  const charged = ['--limit-requests-per-second', never, '--limit-request-burst', never];
  return {
    name: 'charging',
    about:
      'processor time of the daemon for GET /1.0 on 8 kept connections, with work charged to its instance and without',
    unit: 'us',
    sides: [devlxd({ name: 'charged', options: charged }), devlxd({ name: 'uncharged' })],
    reference: 'uncharged',
    columns: requestColumns,
    measure: serverTime({ mode: 'keepalive', connections: 8, path: '/1.0' }),
  };
}
