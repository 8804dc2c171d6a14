import * as v from 'valibot';
import { parse as parseYaml } from 'yaml';
import { closestMatch } from '../closest-match.js';
import { OptionError } from '../config/options.js';
import { lostNameIn } from '../text/lost-names.js';

const sections = ['profiles', 'instances'];
const texts = v.record(v.string(), v.string('must be text'));
// `config:` with nothing behind it is an empty one.
const emptyIfNothing = v.transform((given: unknown) => (given === '' || given === null ? {} : given));
const map = <Schema extends v.GenericSchema>(schema: Schema) => v.optional(v.pipe(v.unknown(), emptyIfNothing, schema));
const name = v.pipe(v.string('is missing'), v.minLength(1, 'is empty'));

const profile = v.strictObject({
  name,
  description: v.optional(v.string('must be text')),
  config: map(texts),
  devices: map(v.record(v.string(), texts)),
});
const instance = v.strictObject({
  ...profile.entries,
  profiles: v.optional(v.array(v.string('names are text'), 'must be a list of names')),
});

/** What a file wants a profile to be; what it does not name stays as it is. */
export type WantedProfile = v.InferOutput<typeof profile>;
export type WantedInstance = v.InferOutput<typeof instance>;

/** What a file says, in its order. */
export interface Wanted {
  readonly profiles: readonly WantedProfile[];
  readonly instances: readonly WantedInstance[];
}

/**
 * Reads YAML (`profiles:` and `instances:`, lists of objects with a name) or NDJSON (one object a line, with
 * `"kind":"profile"` for a profile). Every value is text, as it stands there.
 * @throws OptionError, naming the line or the field
 */
export function readWanted(text: string, path: string): Wanted {
  const wanted = isLines(text) ? fromLines(text, path) : fromYaml(text, path);
  checkOnce(wanted.profiles, 'profile', path);
  checkOnce(wanted.instances, 'instance', path);
  return wanted;
}

function isLines(text: string): boolean {
  const [first = ''] = text.trimStart().split('\n', 1);
  try {
    const object: unknown = JSON.parse(first);
    return typeof object === 'object' && object !== null && ('name' in object || 'kind' in object);
  } catch {
    return false;
  }
}

function fromLines(text: string, path: string): Wanted {
  const profiles: WantedProfile[] = [];
  const instances: WantedInstance[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const where = `${path}, line ${index + 1}`;
    const { kind = 'instance', ...given } = objectIn(line, where);
    if (kind === 'profile') profiles.push(checked(profile, given, where, ''));
    else if (kind === 'instance') instances.push(checked(instance, given, where, ''));
    else throw new OptionError(`${where}: kind is instance or profile, not ${JSON.stringify(kind)}.`);
  }
  return { profiles, instances };
}

function fromYaml(text: string, path: string): Wanted {
  const document = yamlIn(text, path);
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    throw new OptionError(`${path} has neither "profiles:" nor "instances:", which are lists of objects.`);
  const { profiles, instances, ...others } = document as Readonly<Record<string, unknown>>;
  const [other] = Object.keys(others);
  if (other !== undefined) throw new OptionError(`${path}: ${other}: Unknown field${suggested(other, sections)}.`);
  return {
    profiles: listed(profiles, 'profiles', path).map((each, index) =>
      checked(profile, each, path, `profiles[${index}].`),
    ),
    instances: listed(instances, 'instances', path).map((each, index) =>
      checked(instance, each, path, `instances[${index}].`),
    ),
  };
}

function listed(value: unknown, section: string, path: string): unknown[] {
  if (value === undefined || value === '') return [];
  if (Array.isArray(value)) return value;
  throw new OptionError(`${path}: ${section}: must be a list of objects with a name.`);
}

/** The failsafe schema knows text only: `true` and `1.10` stay what was written, as in LXD's own files. */
function yamlIn(text: string, path: string): unknown {
  try {
    return parseYaml(text, { schema: 'failsafe', maxAliasCount: 1000 });
  } catch (error) {
    throw new OptionError(`${path} is no YAML: ${(error as Error).message.split('\n')[0]}`);
  }
}

function objectIn(line: string, where: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new OptionError(`${where} is no JSON: ${(error as Error).message}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new OptionError(`${where} is no object.`);
}

function checked<Schema extends typeof instance | typeof profile>(
  schema: Schema,
  given: unknown,
  where: string,
  prefix: string,
): v.InferOutput<Schema> {
  const lost = lostNameIn(given);
  if (lost !== undefined) throw new OptionError(`${where}: ${prefix}${lost}: is no name that can be used here.`);
  const result = v.safeParse(schema, given);
  if (result.success) return result.output as v.InferOutput<Schema>;
  const [issue] = result.issues;
  const field = v.getDotPath(issue) ?? '';
  if (issue.expected === 'never')
    throw new OptionError(
      `${where}: ${prefix}${field}: Unknown field${suggested(field, Object.keys(schema.entries))}.`,
    );
  throw new OptionError(
    `${where}: ${prefix}${field || 'it'}: ${issue.input === undefined ? 'is missing' : issue.message}.`,
  );
}

function suggested(given: string, known: readonly string[]): string {
  const near = closestMatch(given, known);
  return near === undefined ? '' : `; do you mean ${near}?`;
}

function checkOnce(all: readonly { readonly name: string }[], kind: string, path: string): void {
  const seen = new Set<string>();
  for (const each of all) {
    if (seen.has(each.name)) throw new OptionError(`${path} has the ${kind} "${each.name}" twice.`);
    seen.add(each.name);
  }
}
