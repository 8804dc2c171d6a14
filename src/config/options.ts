import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { type LimitName, type Limits, limitDeclarations } from '../limits/limits.js';
import { type SourceSetting, sourceIn } from './dialects.js';
import { etcdSettingOf, type FleetSetting, hostNameOf, type Wrong } from './fleet-setting.js';
import { metricsAddressIn } from './metrics-address.js';

/** How an option's text is understood. */
export type OptionKind = 'path' | 'file' | 'text' | 'count' | readonly string[];

export interface OptionDeclaration {
  readonly kind: OptionKind;
  readonly default: string;
  readonly help: string;
}

const asRoot = process.getuid?.() === 0;
const environment = process.env;

// $XDG_RUNTIME_DIR is made by a login; without one the state directory is as private.
const userStateDir = join(environment['XDG_STATE_HOME'] || join(homedir(), '.local/state'), 'devlxd');
const userRuntimeDir = environment['XDG_RUNTIME_DIR'];
const userRunDir = userRuntimeDir ? join(userRuntimeDir, 'devlxd') : join(userStateDir, 'run');

/**
 * Every option of `devlxd serve`, declared once: flag, environment variable, type, default and --help all come
 * from here. `run-dir` becomes --run-dir and DEVLXD_RUN_DIR.
 */
export const optionDeclarations = {
  'run-dir': {
    kind: 'path',
    default: asRoot ? '/run/devlxd' : userRunDir,
    help: 'directory of the sockets: guest/sock and control.sock',
  },
  'state-dir': { kind: 'path', default: asRoot ? '/var/lib/devlxd' : userStateDir, help: 'directory of the store' },
  group: { kind: 'text', default: '', help: 'group that may use control.sock as well (its number); none: 0600' },
  identity: {
    kind: ['auto', 'pidfd-ioctl', 'peer-pidfd', 'procfs'],
    default: 'auto',
    help: 'how callers are identified; auto takes the best that the kernel has',
  },
  source: {
    kind: 'text',
    default: '',
    help: 'whose instances are served as well: lxd, incus, or either with :SOCKET; etcd: a fleet; none: only our own',
  },
  'etcd-endpoints': {
    kind: 'text',
    default: '127.0.0.1:2379',
    help: 'members of the etcd of --source etcd: HOST:PORT,HOST:PORT,...',
  },
  'etcd-host': { kind: 'text', default: '', help: 'name of this host in the fleet; none: the name of the machine' },
  'etcd-prefix': { kind: 'text', default: '/devlxd/', help: 'what the keys of the fleet begin with' },
  'etcd-ca': { kind: 'file', default: '', help: 'certificates (PEM) that the members of etcd are verified with' },
  'etcd-cert': {
    kind: 'file',
    default: '',
    help: 'certificate (PEM) of this host; its common name is its user in etcd',
  },
  'etcd-key': { kind: 'file', default: '', help: 'key (PEM) of --etcd-cert' },
  'identity-issuer': {
    kind: 'text',
    default: '',
    help: 'iss of identity documents, as the URL of an OpenID issuer; none: devlxd://HOSTNAME',
  },
  'identity-trust-domain': {
    kind: 'text',
    default: '',
    help: 'SPIFFE trust domain: identity documents are JWT-SVIDs then; none: their subject is PROJECT/UUID',
  },
  'identity-seconds': { kind: 'count', default: '300', help: 'life of an identity document, at most 86400' },
  'metrics-listen': {
    kind: 'text',
    default: '',
    help: 'where metrics are served and nothing else: 127.0.0.1:PORT, [::1]:PORT or unix:PATH; none: on control.sock alone',
  },
  'metrics-token-file': {
    kind: 'file',
    default: '',
    help: 'the bearer token that is wanted there, in a file; SIGHUP reads it again; none: everyone may read',
  },
  'vsock-port': {
    kind: 'count',
    default: '0',
    help: 'port of vsock(7) on which virtual machines with vhost-vsock ask, such as 1234; 0: none',
  },
  backlog: { kind: 'count', default: '4096', help: 'connections that may wait to be accepted' },
  'handover-seconds': {
    kind: 'count',
    default: '30',
    help: 'a takeover in which the other process hangs for this long is given up (s); 0: never',
  },
  'response-cache': {
    kind: 'count',
    default: '16384',
    help: 'bytes of answers kept for each instance, to be given again until it changes; 0: none',
  },
  'log-level': {
    kind: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    default: 'info',
    help: 'least serious lines that are written; guest requests are debug',
  },
  'log-format': {
    kind: ['auto', 'json', 'pretty'],
    default: 'auto',
    help: 'auto: pretty on a terminal, JSON elsewhere',
  },
  'options-file': {
    kind: 'file',
    default: '',
    help: 'the variables of these options, one VARIABLE=value a line; SIGHUP reads it again',
  },
} as const satisfies Record<string, OptionDeclaration>;

/** logLevel, responseCacheBytes and limits may change while the daemon runs (reload.ts): read them where they are used, never copy them. */
export interface Settings {
  readonly runDir: string;
  readonly stateDir: string;
  readonly group: string;
  readonly identity: string;
  /** LXD or Incus on this host; undefined: none is followed */
  readonly source: SourceSetting | undefined;
  /** of --source etcd; undefined: this host belongs to none */
  readonly fleet: FleetSetting | undefined;
  readonly identityIssuer: string;
  readonly identityTrustDomain: string;
  readonly identitySeconds: number;
  /** '': nowhere but on the control socket */
  readonly metricsListen: string;
  /** '': no token is wanted */
  readonly metricsTokenFile: string;
  /** 0: virtual machines are not served by vsock of the kernel */
  readonly vsockPort: number;
  readonly backlog: number;
  readonly handoverSeconds: number;
  readonly responseCacheBytes: number;
  readonly logLevel: string;
  readonly logFormat: string;
  /** '': there is none */
  readonly optionsFile: string;
  readonly limits: Limits;
}

type Given = Readonly<Record<string, string | undefined>>;

/** An option that cannot be understood; the message names it and says what would do. */
export class OptionError extends Error {
  override readonly name = 'OptionError';
}

/** The environment variable of an option: run-dir -> DEVLXD_RUN_DIR. */
export function variableOf(option: string): string {
  return `DEVLXD_${option.replaceAll('-', '_').toUpperCase()}`;
}

/** Flags as [name, declaration], limits among them, in the order in which --help shows them. */
export function allOptions(): [string, OptionDeclaration][] {
  const limits = Object.entries(limitDeclarations).map(([name, limit]): [string, OptionDeclaration] => [
    `limit-${name}`,
    { kind: 'count', default: String(limit.default), help: `${limit.help} (${limit.unit})` },
  ]);
  return [...Object.entries(optionDeclarations), ...limits];
}

/** Flags win over the environment, which wins over the defaults. flags: by option name, as given. */
export function readSettings(flags: Given, variables: Given = environment): Settings {
  const value = (name: string, declaration: OptionDeclaration): string =>
    checked(name, declaration, flags[name] ?? variables[variableOf(name)] ?? declaration.default);
  const option = (name: keyof typeof optionDeclarations) => value(name, optionDeclarations[name]);
  const limits: Partial<Record<LimitName, number>> = {};
  for (const name of Object.keys(limitDeclarations) as LimitName[]) {
    const { default: byDefault, help } = limitDeclarations[name];
    limits[name] = Number(value(`limit-${name}`, { kind: 'count', default: String(byDefault), help }));
  }
  return {
    runDir: option('run-dir'),
    stateDir: option('state-dir'),
    group: option('group'),
    identity: option('identity'),
    source: sourceOf(option('source')),
    fleet: option('source') === 'etcd' ? fleetOf(option) : undefined,
    identityIssuer: option('identity-issuer'),
    identityTrustDomain: trustDomainOf(option('identity-trust-domain')),
    identitySeconds: identitySecondsOf(option('identity-seconds')),
    metricsListen: metricsListenOf(option('metrics-listen'), option('run-dir')),
    metricsTokenFile: option('metrics-token-file'),
    vsockPort: Number(option('vsock-port')),
    backlog: Number(option('backlog')),
    handoverSeconds: Number(option('handover-seconds')),
    responseCacheBytes: Number(option('response-cache')),
    logLevel: option('log-level'),
    logFormat: option('log-format'),
    optionsFile: option('options-file'),
    limits: limits as Limits,
  };
}

function sourceOf(text: string): SourceSetting | undefined {
  if (text === '' || text === 'etcd') return undefined;
  const source = sourceIn(text);
  if (source !== undefined) return source;
  throw new OptionError(
    `--source (${variableOf('source')}) takes lxd, incus, lxd:/PATH/OF/SOCKET, incus:/PATH/OF/SOCKET or etcd, not "${text}".`,
  );
}

function fleetOf(option: (name: keyof typeof optionDeclarations) => string): FleetSetting {
  const wrong: Wrong = (name, sentence) =>
    new OptionError(`--etcd-${name} (${variableOf(`etcd-${name}`)}) ${sentence}.`);
  const [endpoints, prefix, ca] = [option('etcd-endpoints'), option('etcd-prefix'), option('etcd-ca')];
  const given = { endpoints, prefix, ca, cert: option('etcd-cert'), key: option('etcd-key') };
  return { ...etcdSettingOf(given, wrong), host: hostNameOf(option('etcd-host') || hostname(), wrong) };
}

/** As SPIFFE-ID says, section 2.1. */
function trustDomainOf(text: string): string {
  if (/^[a-z0-9._-]{0,255}$/.test(text)) return text;
  throw new OptionError(
    `--identity-trust-domain (${variableOf('identity-trust-domain')}) takes a name such as example.org: lower-case letters, digits, dots, hyphens and underscores, at most 255; not "${text}".`,
  );
}

function metricsListenOf(text: string, runDir: string): string {
  const problem = text === '' ? undefined : metricsAddressIn(text, runDir);
  if (typeof problem !== 'string') return text;
  throw new OptionError(`--metrics-listen (${variableOf('metrics-listen')}) ${problem}`);
}

function identitySecondsOf(text: string): number {
  const seconds = Number(text);
  if (seconds >= 1 && seconds <= 86_400) return seconds;
  throw new OptionError(
    `--identity-seconds (${variableOf('identity-seconds')}) takes a number of seconds from 1 to 86400, not "${text}".`,
  );
}

function checked(name: string, { kind }: OptionDeclaration, text: string): string {
  if (kind === 'count' && !/^\d{1,9}$/.test(text)) {
    throw new OptionError(`--${name} (${variableOf(name)}) takes a whole number from 0 to 999999999, not "${text}".`);
  }
  if (kind === 'path' && text === '') throw new OptionError(`--${name} (${variableOf(name)}) takes a directory.`);
  if (Array.isArray(kind) && !kind.includes(text)) {
    throw new OptionError(`--${name} (${variableOf(name)}) takes one of ${kind.join(', ')}, not "${text}".`);
  }
  return text;
}
