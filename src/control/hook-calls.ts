import * as v from 'valibot';
import { invalid } from '../errors.js';
import { isInstanceName } from '../instances/validate.js';
import { defaultProject, type InstanceType } from '../model/instance.js';
import { instanceNameOf } from './container-name.js';
import { pidOf, type Told, wordsOf } from './hook-words.js';

/** What devlxd-hook was given by a runtime (native/hook/hook.cc). */
export interface HookCall {
  /** its words, after that of the runtime */
  readonly arguments: readonly string[];
  /** the variables of its environment that runtimes set */
  readonly environment: Readonly<Record<string, string>>;
  /** its standard input */
  readonly input: string;
}

/** What happens to a container. */
export type Happening = Start | Stop;

interface Named {
  readonly project: string;
  /** of the instance */
  readonly name: string;
  /** as the runtime calls the container, or as it is told to call the instance */
  readonly container: string;
  /** an instance that this makes is deleted with its container */
  readonly temporary: boolean;
}

export interface Start extends Named {
  readonly stage: 'start';
  /** of an instance that this makes */
  readonly type: InstanceType;
  readonly init: Init;
  /** of a virtual machine with vsock of the kernel: its context id */
  readonly cid?: number | undefined;
  /** keys to set before it starts */
  readonly config: Readonly<Record<string, string>>;
}

export interface Stop extends Named {
  readonly stage: 'stop';
  /** of the init that has ended, where the runtime says so */
  readonly pid: number | undefined;
}

/** By its pid, as the daemon sees it; or as the init among the children of a process; or as systemd-machined knows it. */
export type Init = { readonly pid: number } | { readonly supervisor: number } | { readonly machine: string };

const containerStart = { stage: 'start', type: 'container' } as const;

/** lxc.hook.start-host and lxc.hook.stop, in both of LXC's ways to call a hook (lxc.hook.version 0 and 1). */
export function lxcHappening({ arguments: words, environment }: HookCall): Happening {
  const container = environment['LXC_NAME'];
  if (container === undefined) throw invalid('LXC_NAME', 'is missing: only LXC calls this hook');
  const [own, type = environment['LXC_HOOK_TYPE']] = splitByLxc(words, container);
  if (type === undefined) throw invalid('LXC_HOOK_TYPE', 'is missing: only LXC calls this hook');
  const told = wordsOf(own, ['--name', '--project']);
  const named = namedBy(told, container, false);
  const pid = environment['LXC_PID'] || undefined;
  if (type === 'stop' || type === 'post-stop') {
    return { ...named, stage: 'stop', pid: pid === undefined ? undefined : pidOf('LXC_PID', pid) };
  }
  if (type !== 'start-host') throw invalid('hook', `"${type}" is not taken, only start-host and stop`);
  return { ...named, ...containerStart, init: { pid: pidOf('LXC_PID', pid) }, config: told.config };
}

/**
 * The words of the configuration, and the type of the hook. lxc.hook.version 0 says NAME, "lxc" and the type behind
 * them, and then, of stop, where the namespaces are: run_script_argv and lxc_end of LXC.
 */
function splitByLxc(words: readonly string[], container: string): [readonly string[], string | undefined] {
  const at = words.findIndex((word, index) => word === container && words[index + 1] === 'lxc');
  return at < 0 ? [words, undefined] : [words.slice(0, at), words[at + 2]];
}

/** The state of a container, which an OCI runtime gives its hooks (runtime-spec, runtime.md, "State"). */
const ociState = v.object({
  id: v.string(),
  status: v.string(),
  pid: v.optional(v.number()),
  annotations: v.nullish(v.record(v.string(), v.string())),
});

const ociConfiguration = v.object({ annotations: v.record(v.string(), v.string()) });

const configAnnotation = 'devlxd.config.';

/** createRuntime and poststop; the state tells which. undefined: it is nothing to us. */
export function ociHappening({ arguments: words, environment, input }: HookCall): Happening | undefined {
  const told = wordsOf(words, ['--project']);
  const { id, status, pid, annotations: given } = parsedState(input);
  const annotations = { ...given, ...annotationsIn(environment['OCI_BUNDLE']) };
  if (isSandbox(annotations)) return undefined;
  const { 'devlxd.name': name, 'devlxd.project': project } = annotations;
  const options = { ...told.options, ...(name && { '--name': name }), ...(project && { '--project': project }) };
  const named = namedBy({ ...told, options }, id, true);
  if (status === 'stopped') return { ...named, stage: 'stop', pid: pid || undefined };
  const config = Object.entries(annotations).flatMap(([key, value]) =>
    key.startsWith(configAnnotation) ? [[key.slice(configAnnotation.length), value]] : [],
  );
  const keys = { ...told.config, ...Object.fromEntries(config) };
  return { ...named, ...containerStart, init: { pid: pidOf('pid', pid) }, config: keys };
}

/** As they stand in the configuration of the bundle, where the runtime may have replaced bytes that are no UTF-8. */
function annotationsIn(configuration: string | undefined): Readonly<Record<string, string>> {
  const result = v.safeParse(v.pipe(v.string(), v.parseJson(), ociConfiguration), configuration);
  return result.success ? result.output.annotations : {};
}

/** What only holds the namespaces of a pod, and would have the name of what runs in it: containerd's and CRI-O's words. */
function isSandbox(annotations: Readonly<Record<string, string>>): boolean {
  const { 'io.kubernetes.cri.container-type': containerd, 'io.kubernetes.cri-o.ContainerType': crio } = annotations;
  return (containerd ?? crio) === 'sandbox';
}

function parsedState(text: string): v.InferOutput<typeof ociState> {
  const result = v.safeParse(v.pipe(v.string(), v.parseJson(), ociState), text);
  if (result.success) return result.output;
  const field = v.getDotPath(result.issues[0]) ?? 'standard input';
  throw invalid(field, 'is not of an OCI state: only OCI runtimes call this hook');
}

/** start NAME [--supervisor PID] [KEY=VALUE...], stop NAME */
export function nspawnHappening({ arguments: words, environment }: HookCall): Happening {
  const [stage, machine, ...others] = words;
  if ((stage !== 'start' && stage !== 'stop') || machine === undefined) {
    throw invalid('nspawn', 'takes "start NAME" or "stop NAME"');
  }
  const told = wordsOf(others, ['--name', '--project', '--supervisor']);
  const named = namedBy(told, machine, false);
  if (stage === 'stop') return { ...named, stage, pid: undefined };
  const supervisor = told.options['--supervisor'] ?? environment['MAINPID'];
  const init = supervisor === undefined ? { machine } : { supervisor: pidOf('--supervisor', supervisor) };
  return { ...named, ...containerStart, init, config: told.config };
}

/** A name that an operator gives is taken as it is, where it is one. */
export function namedBy({ options }: Told, container: string, temporary: boolean): Named {
  const given = options['--name'];
  const name = given !== undefined && isInstanceName(given) ? given : instanceNameOf(given ?? container);
  return { project: options['--project'] ?? defaultProject, name, container: given ?? container, temporary };
}
