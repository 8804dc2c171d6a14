import { invalid } from '../errors.js';
import { type Happening, type HookCall, namedBy } from './hook-calls.js';
import { pidOf, type Told, wordsOf } from './hook-words.js';

const firstGuestCid = 3;
const cidsEnd = 2 ** 32 - 1;

/** When a domain has started, and when libvirt finds one that runs already. */
const libvirtStarts: ReadonlySet<string> = new Set(['started', 'reconnect']);
const libvirtStops: ReadonlySet<string> = new Set(['stopped', 'release']);

/** libvirt gives a hook four words (https://libvirt.org/hooks.html); what the operator says stands before them. */
const libvirtWords = 4;

/**
 * /etc/libvirt/hooks/qemu: DOMAIN OPERATION SUB-OPERATION EXTRA, and the XML of the domain. undefined: it is nothing to
 * us, as a domain without vsock is.
 */
export function libvirtHappening({ arguments: words, environment, input }: HookCall): Happening | undefined {
  const [domain, operation = ''] = words.slice(-libvirtWords);
  if (words.length < libvirtWords || domain === undefined)
    throw invalid('libvirt', 'DOMAIN OPERATION SUB-OPERATION EXTRA are missing: only libvirt calls this hook');
  const told = wordsOf(words.slice(0, -libvirtWords), ['--name', '--project']);
  const named = namedBy(told, domain, false);
  if (libvirtStops.has(operation)) return { ...named, stage: 'stop', pid: undefined };
  const cid = libvirtStarts.has(operation) ? cidInDomain(input) : undefined;
  if (cid === undefined) return undefined;
  const pid = pidOf(`the pid file of the domain "${domain}"`, environment['LIBVIRT_PID']);
  return { ...named, stage: 'start', type: 'virtual-machine', init: { pid }, cid, config: told.config };
}

/**
 * The context id that libvirt has given to a domain. Of its XML, which libvirt itself has written: without what others
 * keep in it, in which anything may stand.
 */
function cidInDomain(xml: string): number | undefined {
  const own = xml.replace(/<!--.*?-->|<(metadata|description|title)\b.*?<\/\1>/gs, '');
  const [, vsock = ''] = /<vsock\b[^>]*>(.*?)<\/vsock>/s.exec(own) ?? [];
  const [, , address] = /<cid\b[^>]*\baddress=(["'])(\d+)\1/.exec(vsock) ?? [];
  return address === undefined ? undefined : cidOf('the CID of the domain', address);
}

/** start NAME [--pid PID] [--cid CID] [KEY=VALUE...], stop NAME: from a unit of systemd, or what starts a VMM */
export function vmHappening({ arguments: words, environment }: HookCall): Happening {
  const [stage, machine, ...others] = words;
  if ((stage !== 'start' && stage !== 'stop') || machine === undefined)
    throw invalid('vm', 'takes "start NAME" or "stop NAME"');
  const told = wordsOf(others, ['--name', '--project', '--pid', '--cid']);
  const named = namedBy(told, machine, false);
  if (stage === 'stop') return { ...named, stage, pid: undefined };
  const pid = pidOf('--pid', told.options['--pid'] ?? environment['MAINPID']);
  return { ...named, stage, type: 'virtual-machine', init: { pid }, cid: givenCid(told), config: told.config };
}

function givenCid({ options }: Told): number | undefined {
  const given = options['--cid'];
  return given === undefined ? undefined : cidOf('--cid', given);
}

function cidOf(field: string, text: string): number {
  const cid = Number(text);
  if (/^\d+$/.test(text) && cid >= firstGuestCid && cid < cidsEnd) return cid;
  throw invalid(field, `"${text}" is no context id of a virtual machine`);
}
