import { metricValue, type Sample } from '../metrics/exposition.js';
import type { Finding } from './finding.js';

/** Limits that were reached so recently are worth a warning. */
const latelySeconds = 600;
/** A loop that is later than that makes guests wait noticeably. */
const lateLoopSeconds = 0.5;
const fullShare = 0.8;
const leastFreeBytes = 64 * 1024 * 1024;
const longQueue = 1000;
const mostNamed = 10;

/** What the metrics of a running daemon say of its health. now: seconds since 1970 */
export function healthOf(samples: readonly Sample[], now: number): Finding[] {
  const of: Value = (name, labels) => metricValue(samples, name, labels) ?? 0;
  return [
    store(of, now),
    disk(of),
    queue(of),
    loop(of),
    watchdog(of),
    openFiles(of),
    connections(of),
    limits(samples, now),
    ...socketFiles(samples),
    ...unmerged(samples),
    ...source(samples),
    ...fleet(samples),
  ];
}

type Value = (name: string, labels?: Readonly<Record<string, string>>) => number;

function finding(what: string, value: string, ok: boolean, well: string, otherwise: string): Finding {
  return { what, value, meaning: ok ? well : otherwise, state: ok ? 'ok' : 'warning' };
}

function store(of: Value, now: number): Finding {
  const [done, failed] = ['done', 'failed'].map((outcome) =>
    of('devlxd_store_last_commit_timestamp_seconds', { outcome }),
  );
  const what = 'store';
  if ((failed ?? 0) > (done ?? 0)) {
    const meaning =
      'changes are refused, guests are still answered: free some space on its disk; the log says why it failed';
    return { what, value: `last write failed ${ago(failed, now)}`, meaning, state: 'bad' };
  }
  const value = done === 0 ? 'nothing written yet' : `last write ${ago(done, now)}`;
  return { what, value, meaning: 'each change is on the disk when it is answered', state: 'ok' };
}

function disk(of: Value): Finding {
  const free = of('devlxd_store_free_bytes');
  const value = `${(free / 1024 / 1024).toFixed(0)} MiB free`;
  const otherwise = 'changes will be refused when it is full: free some space, or move --state-dir';
  return finding('disk of the store', value, free >= leastFreeBytes, 'there is room for changes', otherwise);
}

function queue(of: Value): Finding {
  const waiting = of('devlxd_store_transactions_pending');
  const otherwise = 'the disk is slower than the changes come; they wait, guests do not';
  return finding('changes', `${waiting} waiting`, waiting < longQueue, 'the disk keeps up', otherwise);
}

function loop(of: Value): Finding {
  const seconds = of('devlxd_event_loop_delay_seconds');
  const value = `${(seconds * 1000).toFixed(0)} ms late at worst in the last minute`;
  const otherwise = 'everyone waited as long: the host has no processor time left, or a request was very large';
  return finding('event loop', value, seconds < lateLoopSeconds, 'requests are taken up at once', otherwise);
}

function watchdog(of: Value): Finding {
  const seconds = of('devlxd_watchdog_interval_seconds');
  const value = seconds === 0 ? 'none' : `${seconds} s`;
  const well =
    seconds === 0 ? 'a daemon that hangs is not restarted; systemd would' : 'systemd restarts a daemon that hangs';
  return finding('watchdog', value, true, well, '');
}

function openFiles(of: Value): Finding {
  const [open, most] = [of('process_open_fds'), of('process_max_fds')];
  const otherwise =
    'newcomers are dropped when none is left: raise LimitNOFILE= of the unit; `devlxd top` shows which instance has most';
  return finding('descriptors in use', `${open} of ${most}`, open < most * fullShare, 'there is room', otherwise);
}

function connections(of: Value): Finding {
  const [open, most] = [of('devlxd_connections'), of('devlxd_connections_max')];
  const otherwise =
    'newcomers are refused when it is full: raise LimitNOFILE= of the unit; `devlxd top` shows which instance has most';
  return finding('connections', `${open} of ${most}`, open < most * fullShare, 'of guests, open now', otherwise);
}

function limits(samples: readonly Sample[], now: number): Finding {
  const reached = samples
    .filter(({ name, value }) => name === 'devlxd_limit_last_hit_timestamp_seconds' && now - value <= latelySeconds)
    .map(({ labels }) => labels['limit']);
  const otherwise =
    'the log (`limit reached`) and `devlxd top` say whose doing it was; docs/operations.md what each of them means';
  const value = reached.length === 0 ? 'none' : reached.join(', ');
  return finding('limits reached lately', value, reached.length === 0, 'in the last ten minutes', otherwise);
}

/** None, as long as every ssh key arrives. */
function unmerged(samples: readonly Sample[]): Finding[] {
  const found = samples
    .filter(({ name }) => name === 'devlxd_instance_unmerged_documents')
    .map(({ labels }) => `${labels['project']}/${labels['instance']} ${labels['key']} (${labels['reason']})`);
  if (found.length === 0) return [];
  const more = found.length > mostNamed ? ` and ${found.length - mostNamed} more` : '';
  const meaning =
    'cloud-init.ssh-keys.* are not in these values: write the keys into them; docs/guest-api.md says what can be merged';
  const value = `${found.slice(0, mostNamed).join(', ')}${more}`;
  return [{ what: 'ssh keys that do not arrive', value, meaning, state: 'warning' }];
}

/** None, as long as the paths of the sockets lead to the daemon. */
function socketFiles(samples: readonly Sample[]): Finding[] {
  const lost = samples
    .filter(({ name, value }) => name === 'devlxd_socket_reachable' && value === 0)
    .map(({ labels }) => labels['socket']);
  const found: Finding[] = [];
  if (lost.length > 0) {
    const meaning =
      'their files were removed or replaced; the log says which: restart devlxd, or the units of its sockets';
    found.push({ what: 'sockets that lead elsewhere', value: lost.join(', '), meaning, state: 'bad' });
  }
  if (metricValue(samples, 'devlxd_guest_directory_replaced') === 1) {
    const meaning = 'instances that run have the old directory mounted: mount the new one, or restart them';
    found.push({ what: 'directory of the guest socket', value: 'replaced', meaning, state: 'bad' });
  }
  return found;
}

/** None, without --source. */
function source(samples: readonly Sample[]): Finding[] {
  const connected = metricValue(samples, 'devlxd_source_connected');
  if (connected === undefined) return [];
  const age = Math.round(metricValue(samples, 'devlxd_source_age_seconds') ?? 0);
  const otherwise = 'its guests are answered from what it said last: does it run? The log says why it is not reached';
  const behind = age === 0 ? '' : `, ${age} s behind`;
  const value = connected === 1 ? `connected${behind}` : `away for ${age} s`;
  return [finding('source', value, connected === 1, 'what changes there arrives here', otherwise)];
}

const heldMeanings: Readonly<Record<string, string>> = {
  'other-cluster': 'another etcd answers than before',
  older: 'etcd has another, older history than before: was a backup put back?',
  few: 'fewer than half of the instances are left in etcd',
};

/** None, as long as what the fleet says is what guests are told. */
function fleet(samples: readonly Sample[]): Finding[] {
  const held = samples.find(({ name, value }) => name === 'devlxd_source_held' && value === 1)?.labels['reason'];
  const refused = metricValue(samples, 'devlxd_source_refused') ?? 0;
  const found: Finding[] = [];
  if (held !== undefined) {
    const meaning = `${heldMeanings[held] ?? held}; running guests are served as before: mend etcd, or "devlxd source accept"`;
    found.push({ what: 'changes of the fleet', value: 'held back', meaning, state: 'bad' });
  }
  if (refused > 0) {
    const meaning = '"devlxd source show" says which and why; their last good state is served';
    found.push({ what: 'values of the fleet', value: `${refused} not applied`, meaning, state: 'warning' });
  }
  return found;
}

function ago(at: number | undefined, now: number): string {
  return `${Math.max(0, Math.round(now - (at ?? now)))} s ago`;
}
