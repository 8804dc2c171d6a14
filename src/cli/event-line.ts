import type { HostEvent, LifecycleEvent, LoggingEvent, OperationEvent } from '../api/types.js';
import { visible } from '../text/width.js';

/** An event of the host as one line for people. */
export function eventLine(event: HostEvent): string {
  const time = event.timestamp.slice(11, 23);
  return visible(`${time}  ${event.type.padEnd(9)}  ${tell(event)}`);
}

function tell(event: HostEvent): string {
  if (event.type === 'lifecycle') return lifecycle(event);
  if (event.type === 'operation') return operation(event);
  if (event.type === 'logging') return logging(event);
  return 'the connection was lost and is back; what happened in between is not shown';
}

function lifecycle({ metadata: { action, source, context, requestor } }: LifecycleEvent): string {
  const { old_name: oldName, ...changes } = context;
  const old = oldName === undefined ? '' : `, was ${oldName}`;
  const changed = action.endsWith('-updated') ? Object.entries(changes).map(([field, to]) => `  ${field}: ${to}`) : [];
  const by = requestor === undefined ? '' : ` (${requestor.username})`;
  return `${action.padEnd(17)}  ${thing(source)}${old}${by}${changed.join('')}`;
}

function operation({ metadata: { description, status, resources, metadata, err } }: OperationEvent): string {
  const about = (resources.instances ?? []).map(thing).join(' ');
  const progress = status === 'Running' ? metadata?.['batch_progress'] : undefined;
  return [`${status}: ${description}`, about, progress, err].filter((part) => part).join('  ');
}

function logging({ metadata: { level, message, context } }: LoggingEvent): string {
  const fields = Object.entries(context).map(([name, value]) => `${name}=${value}`);
  return [`${level}: ${message}`, ...fields].join('  ');
}

/** /1.0/instances/web1?project=blue -> blue/web1; /1.0/images/3b2a... -> 3b2a... */
function thing(path: string): string {
  const [pathname = '', query] = path.split('?');
  const project = new URLSearchParams(query).get('project');
  const name = pathname.split('/').slice(3).map(decodeURIComponent).join('/');
  return project === null ? name : `${project}/${name}`;
}
