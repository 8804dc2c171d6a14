/** Series at 0, 1, 2, ... minutes, as promtool writes them. */
type Series = Readonly<Record<string, string>>;

interface AlarmCase {
  readonly alert: string;
  /** labels of the alarm, beside job, instance and severity */
  readonly labels?: Readonly<Record<string, string>>;
  readonly severity: 'critical' | 'warning' | 'info';
  readonly fires: Series;
  readonly quiet: Series;
}

/** One of an alarm for each limit that was reached. */
function ofLimit(
  alert: string,
  severity: AlarmCase['severity'],
  limit: string,
  fires: string,
  quiet: string,
): AlarmCase {
  const series = `devlxd_limit_hits_total{limit="${limit}"}`;
  return { alert, labels: { limit }, severity, fires: { [series]: fires }, quiet: { [series]: quiet } };
}

/** For each alarm of packaging/prometheus/devlxd.rules.yml what makes it fire, and what is near and does not. */
export const alarmCases: readonly AlarmCase[] = [
  { alert: 'DevlxdDown', severity: 'critical', fires: { up: '0x30' }, quiet: { up: '1x30' } },
  {
    alert: 'DevlxdRestarts',
    severity: 'warning',
    fires: { process_start_time_seconds: '1 2 3 4x27' },
    quiet: { process_start_time_seconds: '1x10 2x10 3x10' },
  },
  ofLimit('DevlxdLimitReached', 'info', 'requests-per-second', '0x25 1x5', '7x30'),
  {
    alert: 'DevlxdEventLoopLate',
    severity: 'warning',
    fires: { devlxd_event_loop_delay_seconds: '0.6x30' },
    quiet: { devlxd_event_loop_delay_seconds: '0.4x30' },
  },
  {
    alert: 'DevlxdDiskNearlyFull',
    severity: 'critical',
    fires: { devlxd_store_free_bytes: '67108863x30' },
    quiet: { devlxd_store_free_bytes: '67108864x30' },
  },
  ofLimit('DevlxdFull', 'critical', 'connections', '0x28 1x2', '0 5x29'),
  ofLimit('DevlxdNoDescriptors', 'critical', 'descriptors', '0x28 1x2', '0x30'),
  {
    alert: 'DevlxdUnidentifiedCallers',
    severity: 'warning',
    fires: { devlxd_connections_unidentified_total: '0+120x30' },
    quiet: { devlxd_connections_unidentified_total: '0+30x30' },
  },
  {
    alert: 'DevlxdRequestsHeld',
    severity: 'warning',
    fires: { devlxd_guest_requests_held: '3x30' },
    quiet: { devlxd_guest_requests_held: '3x26 0 3x3' },
  },
  {
    alert: 'DevlxdStoreFails',
    labels: { outcome: 'failed' },
    severity: 'critical',
    fires: { 'devlxd_store_commits_total{outcome="failed"}': '0x28 1x2' },
    quiet: {
      'devlxd_store_commits_total{outcome="failed"}': '0x30',
      'devlxd_store_commits_total{outcome="done"}': '0+9x30',
    },
  },
  {
    alert: 'DevlxdStoreSlow',
    severity: 'warning',
    fires: { devlxd_store_commit_seconds_total: '0+6x30', 'devlxd_store_commits_total{outcome="done"}': '0+10x30' },
    quiet: { devlxd_store_commit_seconds_total: '0+1x30', 'devlxd_store_commits_total{outcome="done"}': '0+10x30' },
  },
  {
    alert: 'DevlxdSourceAway',
    severity: 'warning',
    fires: { devlxd_source_connected: '0x30' },
    quiet: { devlxd_source_connected: '1x25 0x5' },
  },
  {
    alert: 'DevlxdSourceBehind',
    severity: 'warning',
    fires: { devlxd_source_age_seconds: '61x30' },
    quiet: { devlxd_source_age_seconds: '61x25 1 61x4' },
  },
  ofLimit('DevlxdOperatorDoesNotRead', 'warning', 'control-event-backlog', '0x28 1x2', '0x30'),
];

const target = 'job="devlxd",instance="h1"';

function inputOf(series: Series): object[] {
  return Object.entries(series).map(([name, values]) => ({
    series: name.includes('{') ? name.replace('{', `{${target},`) : `${name}{${target}}`,
    values,
  }));
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${value}"`)
    .join(', ');
}

/** The file for `promtool test rules`; each case at the 30th minute. */
export function testsOf(rules: string): object {
  const of = (name: string, series: Series, alert: string, expected: readonly object[]) => ({
    name,
    interval: '1m',
    input_series: inputOf(series),
    promql_expr_test: [
      { expr: `ALERTS{alertstate="firing",alertname="${alert}"}`, eval_time: '30m', exp_samples: expected },
    ],
  });
  return {
    rule_files: [rules],
    evaluation_interval: '1m',
    tests: alarmCases.flatMap(({ alert, labels = {}, severity, fires, quiet }) => {
      const all = { alertname: alert, alertstate: 'firing', job: 'devlxd', instance: 'h1', severity, ...labels };
      return [
        of(`${alert} fires`, fires, alert, [{ labels: `ALERTS{${labelsText(all)}}`, value: 1 }]),
        of(`${alert} is quiet`, quiet, alert, []),
      ];
    }),
  };
}
