/** How etcd is reached. */
export interface EtcdSetting {
  /** HOST:PORT each */
  readonly endpoints: readonly string[];
  /** what all keys begin with; it begins and ends with a slash */
  readonly prefix: string;
  /** undefined: without TLS */
  readonly tls: EtcdTls | undefined;
}

/** Paths of PEM files; '': none. They are read at each connection, so that renewed ones are used. */
export interface EtcdTls {
  /** '': the authorities that Node knows */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** The fleet that this host belongs to. */
export interface FleetSetting extends EtcdSetting {
  /** its name in the fleet */
  readonly host: string;
}

/** The texts of the options, as they are given. */
export interface EtcdTexts {
  readonly endpoints: string;
  readonly prefix: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Says what is wrong with which option, and what would do. */
export type Wrong = (option: keyof EtcdTexts | 'host', sentence: string) => Error;

const endpointForm = /^(?:https?:\/\/)?(?<address>(?:\[[0-9a-f:.]+\]|[^\s:/,[\]]+):(?<port>\d{1,5}))\/?$/i;
const prefixForm = /^\/(?:[^\s/]+\/)+$/;
const hostForm = /^[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?$/i;

/** @throws what wrong makes */
export function etcdSettingOf(given: EtcdTexts, wrong: Wrong): EtcdSetting {
  const endpoints = given.endpoints.split(',').map((text) => text.trim());
  const addresses = endpoints.map((endpoint) => {
    const { address, port } = endpointForm.exec(endpoint)?.groups ?? {};
    if (address !== undefined && Number(port) >= 1 && Number(port) <= 65_535) return address;
    throw wrong('endpoints', `takes HOST:PORT,HOST:PORT,..., not "${given.endpoints}"`);
  });
  const prefix = given.prefix.endsWith('/') ? given.prefix : `${given.prefix}/`;
  if (!prefixForm.test(prefix)) throw wrong('prefix', `takes a path such as /devlxd/, not "${given.prefix}"`);
  return { endpoints: addresses, prefix, tls: tlsOf(given, endpoints, wrong) };
}

/** @throws what wrong makes */
export function hostNameOf(text: string, wrong: Wrong): string {
  if (hostForm.test(text)) return text;
  throw wrong('host', `takes letters, digits, dots, hyphens and underscores, at most 253, not "${text}"`);
}

function tlsOf({ ca, cert, key }: EtcdTexts, endpoints: readonly string[], wrong: Wrong): EtcdTls | undefined {
  if (cert !== '' && key === '') throw wrong('key', 'is missing: a certificate needs its key');
  if (key !== '' && cert === '') throw wrong('cert', 'is missing: a key needs its certificate');
  const isAsked = [ca, cert].some((path) => path !== '') || endpoints.some((text) => /^https:/i.test(text));
  return isAsked ? { ca, cert, key } : undefined;
}
