/** Why nothing is applied of what etcd says now, until an operator accepts it or etcd says otherwise. */
export type Held =
  /** another cluster answers than before */
  | 'other-cluster'
  /** its history is not the one that was followed: a backup was put back */
  | 'older'
  /** fewer than half of the instances are left */
  | 'few';

/** What is kept of the fleet, beside the records, across restarts. */
export interface FleetState {
  /** id of the etcd cluster; '': none was followed yet */
  readonly cluster: string;
  /** of the newest change that was applied, decimal */
  readonly revision: string;
  /** key and revision of a change, by which its history is recognised; '': none */
  readonly markKey: string;
  readonly markRevision: string;
  /** how many instances the fleet had here */
  readonly instances: number;
  /** is a history held back that is not the one that was followed? */
  readonly older: boolean;
  /** by which this daemon knows its own status */
  readonly daemon: string;
}

/** What is found when everything is read. */
interface Found {
  readonly cluster: string;
  /** is it the history that was followed? */
  readonly isOlder: boolean;
  /** how many of the instances that are stored it still names */
  readonly left: number;
}

/** undefined: it can be applied */
export function heldOf(known: FleetState, { cluster, isOlder, left }: Found): Held | undefined {
  if (known.cluster === '') return undefined;
  if (cluster !== known.cluster) return 'other-cluster';
  if (isOlder || known.older) return 'older';
  return isFew(left, known.instances) ? 'few' : undefined;
}

export function isFew(left: number, before: number): boolean {
  return left * 2 < before;
}

/** As the log, `check` and the status say it. */
export const heldSentences: Readonly<Record<Held, string>> = {
  'other-cluster': 'another etcd answers than before',
  older: 'etcd has another, older history than before: was a backup put back?',
  few: 'fewer than half of the instances are left in etcd',
};

export const heldReasons = Object.keys(heldSentences) as Held[];
