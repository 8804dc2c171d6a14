import { isVolatile } from '../instances/edit.js';
import {
  type Change,
  differenceOf,
  type ProfileChange,
  type ProjectChange,
  sameDevice,
  type Written,
} from '../model/changes.js';
import type { Instance } from '../model/instance.js';
import { changesOf, type Described } from './described-changes.js';
import { instanceUrl, profileUrl, projectUrl } from './render.js';

/** What happened to what (api.EventLifecycle of LXD, without the requestor). */
export interface Lifecycle {
  /** undefined: it belongs to none, and all hear of it */
  readonly project: string | undefined;
  readonly action: string;
  /** path of the thing in the API */
  readonly source: string;
  readonly context: Readonly<Record<string, string>>;
}

/** The lifecycle events of a durable change: mostly one, sometimes two or none. */
export function lifecycleOf(change: Written): Lifecycle[] {
  if (change.kind === 'instance') return instanceLifecycle(change);
  if (change.kind === 'profile') return profileLifecycle(change);
  return projectLifecycle(change);
}

function instanceLifecycle({ before, after }: Change): Lifecycle[] {
  const { project, name } = (after ?? before) as Instance;
  const source = instanceUrl(name, project);
  return stepsOf(before, after).map(([action, context = {}]) => ({
    project,
    action: `instance-${action}`,
    source,
    context,
  }));
}

/** The guest says that it is ready: LXD tells it each time, and not only when that is new. */
export function readyOf({ project, name }: Instance): Lifecycle {
  return { project, action: 'instance-ready', source: instanceUrl(name, project), context: {} };
}

type Step = [action: string, context?: Record<string, string>];

function stepsOf(before: Instance | undefined, after: Instance | undefined): Step[] {
  if (before === undefined) return [['created', { type: after?.type ?? '' }]];
  if (after === undefined) return [['deleted']];
  const steps: Step[] = [];
  if (before.name !== after.name) steps.push(['renamed', { old_name: before.name }]);
  if (isEdited(before, after)) steps.push(['updated', changesOf(before, after)]);
  if (before.run === undefined && after.run !== undefined) steps.push(['started']);
  if (before.run !== undefined && after.run === undefined) steps.push(['stopped']);
  if (before.guestState !== 'Ready' && after.guestState === 'Ready') steps.push(['ready']);
  return steps;
}

/** Has an operator changed it itself, and not only a profile of it? */
function isEdited(before: Instance, after: Instance): boolean {
  const keys = differenceOf(before.config, after.config);
  if ([...keys.set.map(([key]) => key), ...keys.removed].some((key) => !isVolatile(key))) return true;
  const devices = differenceOf(before.devices, after.devices, sameDevice);
  if (devices.set.length + devices.removed.length > 0) return true;
  return before.description !== after.description || profileIds(before) !== profileIds(after);
}

function profileIds({ profiles }: Instance): string {
  return profiles.map(({ id }) => id).join();
}

function profileLifecycle({ before, after }: ProfileChange): Lifecycle[] {
  const known = after ?? before;
  if (known === undefined || (before && after && before.project !== after.project)) return []; // its project's new name
  const source = profileUrl(known.name, known.project);
  return [{ project: known.project, source, ...actionOf('profile', before, after) }];
}

function projectLifecycle({ before, after }: ProjectChange): Lifecycle[] {
  const known = after ?? before;
  if (known === undefined) return [];
  return [{ project: known.name, source: projectUrl(known.name), ...actionOf('project', before, after) }];
}

type Named = Described | undefined;

function actionOf(noun: string, before: Named, after: Named): Pick<Lifecycle, 'action' | 'context'> {
  if (before === undefined) return { action: `${noun}-created`, context: {} };
  if (after === undefined) return { action: `${noun}-deleted`, context: {} };
  if (before.name === after.name) return { action: `${noun}-updated`, context: changesOf(before, after) };
  return { action: `${noun}-renamed`, context: { old_name: before.name } };
}
