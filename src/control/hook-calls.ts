import * as v from 'valibot';
import { invalid } from '../errors.js';

/** What devlxd-hook was given by a runtime (native/hook/hook.cc). */
export interface HookCall {
  /** its words, after that of the runtime */
  readonly arguments: readonly string[];
  /** those of its environment that runtimes set */
  readonly environment: Readonly<Record<string, string>>;
  /** its standard input */
  readonly input: string;
}

/** What happens to a container. */
export interface Happening {
  readonly stage: 'start' | 'stop';
  /** of the instance */
  readonly name: string;
  /** where its init is found, when it starts */
  readonly init?: Init;
  /** keys to set before it starts */
  readonly config: Readonly<Record<string, string>>;
  /** an instance that this makes is deleted with its container */
  readonly temporary: boolean;
}

/** By its pid, as the daemon sees it; or as the init among the children of a process; or as systemd-machined knows it. */
export type Init = { readonly pid: number } | { readonly supervisor: number } | { readonly machine: string };

const assignment = /^([^=\s]+)=(.*)$/s;

/** lxc.hook.start-host and lxc.hook.stop, in both of LXC's ways to call a hook (lxc.hook.version 0 and 1). */
export function lxcHappening({ arguments: words, environment }: HookCall): Happening {
  const [type = environment['LXC_HOOK_TYPE']] = words.slice(-1).filter((word) => !assignment.test(word));
  const name = environment['LXC_NAME'];
  if (name === undefined || type === undefined) throw invalid('LXC_NAME', 'is missing: only LXC calls this hook');
  const config = configOf(words.filter((word) => assignment.test(word)));
  if (type === 'stop' || type === 'post-stop') return { stage: 'stop', name, config: {}, temporary: false };
  if (type !== 'start-host') throw invalid('hook', `"${type}" is not taken, only start-host and stop`);
  const init = { pid: pidOf('LXC_PID', environment['LXC_PID']) };
  return { stage: 'start', name, init, config, temporary: false };
}

/** The state of a container, which an OCI runtime gives its hooks (runtime-spec, runtime.md, "State"). */
const ociState = v.object({
  id: v.string(),
  status: v.string(),
  pid: v.optional(v.number()),
  annotations: v.optional(v.record(v.string(), v.string())),
});

const nameAnnotation = 'devlxd.name';
const configAnnotation = 'devlxd.config.';
/** As much of an id as podman and docker show. */
const shownId = 12;

/** createRuntime and poststop; the state tells which. */
export function ociHappening({ input }: HookCall): Happening {
  const { id, status, pid, annotations = {} } = parsedState(input);
  const name = annotations[nameAnnotation] ?? nameOfId(id);
  const common = { name, temporary: true };
  if (status === 'stopped') return { ...common, stage: 'stop', config: {} };
  const config = Object.entries(annotations).flatMap(([key, value]) =>
    key.startsWith(configAnnotation) ? [[key.slice(configAnnotation.length), value]] : [],
  );
  return { ...common, stage: 'start', init: { pid: pidOf('pid', pid) }, config: Object.fromEntries(config) };
}

function parsedState(text: string): v.InferOutput<typeof ociState> {
  const result = v.safeParse(v.pipe(v.string(), v.parseJson(), ociState), text);
  if (result.success) return result.output;
  const field = v.getDotPath(result.issues[0]) ?? 'standard input';
  throw invalid(field, 'is not of an OCI state: only OCI runtimes call this hook');
}

/** Names of instances begin with a letter; generated ids need not. */
function nameOfId(id: string): string {
  return /^[0-9a-f]{32,}$/.test(id) ? `oci-${id.slice(0, shownId)}` : id;
}

/** start NAME [--supervisor PID] [KEY=VALUE...], stop NAME */
export function nspawnHappening({ arguments: words, environment }: HookCall): Happening {
  const [stage, name, ...others] = words;
  if ((stage !== 'start' && stage !== 'stop') || name === undefined) {
    throw invalid('nspawn', 'takes "start NAME" or "stop NAME"');
  }
  if (stage === 'stop') return { stage, name, config: {}, temporary: false };
  const at = others.indexOf('--supervisor');
  const supervisor = at < 0 ? environment['MAINPID'] : (others.splice(at, 2)[1] ?? '');
  const init = supervisor === undefined ? { machine: name } : { supervisor: pidOf('--supervisor', supervisor) };
  return { stage, name, init, config: configOf(others), temporary: false };
}

function configOf(words: readonly string[]): Record<string, string> {
  const entries = words.map((word) => {
    const [, key, value] = assignment.exec(word) ?? [];
    if (key === undefined || value === undefined) throw invalid(word, 'is not KEY=VALUE');
    return [key, value];
  });
  return Object.fromEntries(entries);
}

function pidOf(field: string, given: string | number | undefined): number {
  const pid = Number(given);
  if (given === undefined || given === '') throw invalid(field, 'is missing');
  if (!Number.isInteger(pid) || pid < 1) throw invalid(field, `"${given}" is no pid`);
  return pid;
}
