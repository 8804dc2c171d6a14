import { cidKey, type Instance, powerKey, readyKey, statusOf } from '../model/instance.js';
import { type Reader, readerOf } from './filter.js';
import { instanceText } from './instance-text.js';

const fields: Readonly<Record<string, (instance: Instance) => string | undefined>> = {
  name: ({ name }) => name,
  project: ({ project }) => project,
  description: ({ description }) => description,
  status: statusOf,
  source: ({ source }) => source,
  location: ({ placement }) => placement?.host ?? 'none',
};
const configPrefix = 'config.';

/**
 * Reads what the API shows of an instance. What filters mostly ask for is not rendered for that, since a list of a
 * hundred thousand may have ten rows.
 */
export function instanceReader(instance: Instance): Reader {
  return (path) => {
    if (Object.hasOwn(fields, path)) return fields[path]?.(instance);
    const key = path.startsWith(configPrefix) ? path.slice(configPrefix.length) : undefined;
    const isRendered = key === undefined || key === readyKey || key === powerKey || key === cidKey;
    return isRendered ? readerOf(JSON.parse(instanceText(instance)))(path) : instance.config.get(key);
  };
}
