import * as v from 'valibot';
import { closestField } from '../closest-match.js';
import { OptionError } from '../config/options.js';
import { lostNameIn } from '../text/lost-names.js';
import { checkProject, shownKind, sorted } from './foreign.js';
import { yamlTextIn } from './yaml-text.js';

const byteOrderMark = /^\ufeff/;
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
  type: v.optional(
    v.pipe(
      v.picklist(['', 'container', 'virtual-machine'], 'must be container or virtual-machine'),
      v.transform((given) => given || undefined), // in LXD's preseeds it may be empty
    ),
  ),
  profiles: v.optional(v.array(v.string('names are text'), 'must be a list of names')),
});

/** What a file wants a profile to be; what it does not name stays as it is. */
export type WantedProfile = v.InferOutput<typeof profile>;
export type WantedInstance = v.InferOutput<typeof instance>;

/** What a file says, in its order. */
export interface Wanted {
  readonly profiles: readonly WantedProfile[];
  readonly instances: readonly WantedInstance[];
  /** by what it was left out of: fields that LXD has and that are not to be set */
  readonly leftOut: LeftOut;
}

export type LeftOut = ReadonlyMap<'instance' | 'profile' | 'file', ReadonlySet<string>>;

/** What is known of a file besides its text. */
export interface Expected {
  /** the one that it is applied to; undefined: it is not checked */
  readonly project?: string;
  /** of the one instance or profile that it has, where it does not say it itself */
  readonly name?: string;
}

/**
 * Reads YAML (`profiles:` and `instances:`, lists of objects with a name; or one or a list of them, as `show` and
 * `list` print them) or NDJSON
 * (one object a line, with `"kind":"profile"` for a profile). Every value is text, as it stands there.
 * @throws OptionError, naming the line or the field
 */
export function readWanted(text: string, path: string, expected: Expected = {}): Wanted {
  const reader = new Reader(path, expected);
  const plain = text.replace(byteOrderMark, '');
  if (isLines(plain)) reader.readLines(plain);
  else reader.readYaml(plain);
  checkOnce(reader.profiles, 'profile', path);
  checkOnce(reader.instances, 'instance', path);
  return reader;
}

class Reader implements Wanted {
  readonly profiles: WantedProfile[] = [];
  readonly instances: WantedInstance[] = [];
  readonly leftOut = new Map<'instance' | 'profile' | 'file', Set<string>>();
  readonly #path: string;
  readonly #expected: Expected;

  constructor(path: string, expected: Expected) {
    this.#path = path;
    this.#expected = expected;
  }

  readLines(text: string): void {
    for (const [index, line] of text.split('\n').entries()) {
      if (line.trim() === '') continue;
      const where = `${this.#path}, line ${index + 1}`;
      const object = objectIn(line, where);
      if ('kind' in object) this.#addOfKind(object, where);
      else this.#add('instance', object, where, '');
    }
  }

  #addOfKind({ kind, ...given }: Readonly<Record<string, unknown>>, where: string): void {
    if (kind !== 'profile' && kind !== 'instance')
      throw new OptionError(`${where}: kind is instance or profile, not ${JSON.stringify(kind)}.`);
    this.#add(kind, given, where, '');
  }

  readYaml(text: string): void {
    const document = yamlTextIn(text, this.#path);
    if (Array.isArray(document)) this.#addShown(document);
    else if (isObject(document)) this.#addOne(document);
    else throw new OptionError(`${this.#path} has neither "profiles:" nor "instances:", which are lists of objects.`);
  }

  #addOne(document: Readonly<Record<string, unknown>>): void {
    const kind = shownKind(document);
    if (kind === undefined) this.#addSections(document);
    else this.#add(kind, this.#named(document), this.#path, '');
  }

  /** A list as `list` prints it. */
  #addShown(list: readonly unknown[]): void {
    for (const [index, each] of list.entries()) {
      const kind = isObject(each) ? (shownKind(each) ?? 'instance') : 'instance';
      this.#add(kind, each, this.#path, `[${index}].`);
    }
  }

  #addSections(document: Readonly<Record<string, unknown>>): void {
    const { profiles, instances, ...others } = this.#used('file', document);
    const [other] = Object.keys(others);
    if (other !== undefined)
      throw new OptionError(`${this.#path}: ${other}: Unknown field${suggested(other, sections)}.`);
    for (const [index, each] of listed(profiles, 'profiles', this.#path).entries())
      this.#add('profile', each, this.#path, `profiles[${index}].`);
    for (const [index, each] of listed(instances, 'instances', this.#path).entries())
      this.#add('instance', each, this.#path, `instances[${index}].`);
  }

  #add(kind: 'instance' | 'profile', given: unknown, where: string, prefix: string): void {
    if (!isObject(given)) throw new OptionError(`${where}: ${prefix.slice(0, -1)}: must be an object with a name.`);
    const fields = this.#used(kind, given);
    this.#checkProject(given, where, prefix);
    if (kind === 'profile') this.profiles.push(checked(profile, fields, where, prefix));
    else this.instances.push(checked(instance, fields, where, prefix));
  }

  #checkProject({ project: given }: Readonly<Record<string, unknown>>, where: string, prefix: string): void {
    const { project } = this.#expected;
    if (project !== undefined) checkProject(given, project, `${where}: ${prefix}project`);
  }

  #used(kind: 'instance' | 'profile' | 'file', fields: Readonly<Record<string, unknown>>) {
    const { used, leftOut } = sorted(kind, fields);
    if (leftOut.length === 0) return used;
    const known = this.leftOut.get(kind) ?? new Set();
    this.leftOut.set(kind, known);
    for (const field of leftOut) known.add(field);
    return used;
  }

  /** `lxc config show` does not say whose configuration it is. */
  #named(document: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
    if ('name' in document) return document;
    const { name: given } = this.#expected;
    if (given === undefined) throw new OptionError(`${this.#path} has no name; say whose it is with --name.`);
    return { name: given, ...document };
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
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

function listed(value: unknown, section: string, path: string): unknown[] {
  if (value === undefined || value === '') return [];
  if (Array.isArray(value)) return value;
  throw new OptionError(`${path}: ${section}: must be a list of objects with a name.`);
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
  throw new OptionError(`${where}: ${prefix}${field}: ${issue.input === undefined ? 'is missing' : issue.message}.`);
}

function suggested(given: string, known: readonly string[]): string {
  const near = closestField(given, known);
  return near === undefined ? '' : `; do you mean ${near}?`;
}

function checkOnce(all: readonly { readonly name: string }[], kind: string, path: string): void {
  const seen = new Set<string>();
  for (const each of all) {
    if (seen.has(each.name)) throw new OptionError(`${path} has the ${kind} "${each.name}" twice.`);
    seen.add(each.name);
  }
}
