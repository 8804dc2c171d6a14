import type { Alias, Node, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import { isAnchorToPyYaml, isMadeByPyYaml, isWholeToPyYaml } from './made-by-pyyaml.js';
import { Refusal } from './refusal.js';

/** What a node means to the guest, apart from how it is written. Equal values are the same object. */
export type Value = Text | Other | List | Mapping;

/** A string, to every reader of YAML. */
export interface Text {
  readonly kind: 'text';
  readonly id: number;
  readonly text: string;
}

/** A scalar that is no string, or not one to every reader: kept as it is written. */
export interface Other {
  readonly kind: 'other';
  readonly id: number;
  /** '' for all that means null */
  readonly source: string;
  readonly tag: string;
}

export interface List {
  readonly kind: 'list';
  readonly id: number;
  readonly items: readonly Value[];
}

export interface Mapping {
  readonly kind: 'map';
  readonly id: number;
  readonly pairs: readonly (readonly [Value, Value])[];
}

type Made<Kind extends Value> = Omit<Kind, 'id'>;

/** Plain scalars that YAML 1.1, 1.2 or PyYAML takes for something else than a string, and some more. */
const noText = /^(?:[-+.]?\d.*|[-+]?\.(?:inf|nan)|~|null|y|n|yes|no|true|false|on|off|=|<<|[-+.]*|[-+.][\d_:.].*)$/is;
const nothing = /^(?:~|null|Null|NULL|)$/;
const textTag = 'tag:yaml.org,2002:str';
const knownTag = /^tag:yaml\.org,2002:(?:str|int|float|bool|null|binary|timestamp|seq|map)$/;

/** The values of documents that are compared with each other. */
export class Values {
  readonly #known = new Map<string, Value>();

  text(text: string): Text {
    return this.#one<Text>(`t${text}`, { kind: 'text', text });
  }

  list(items: readonly Value[]): List {
    return this.#one<List>(`l${items.map(({ id }) => id)}`, { kind: 'list', items });
  }

  map(pairs: readonly (readonly [Value, Value])[]): Mapping {
    // The order means nothing, but of two pairs with one key the last one holds.
    const sorted = [...pairs].sort(([a], [b]) => a.id - b.id);
    return this.#one<Mapping>(`m${sorted.map(([key, value]) => `${key.id}:${value.id}`)}`, { kind: 'map', pairs });
  }

  other(source: string, tag: string): Other {
    return this.#one<Other>(`o${tag} ${source}`, { kind: 'other', source, tag });
  }

  #one<Kind extends Value>(key: string, made: Made<Kind>): Kind {
    const known = this.#known.get(key) ?? ({ ...made, id: this.#known.size } as unknown as Value);
    this.#known.set(key, known);
    return known as Kind;
  }
}

/** Reads one document: what each node of it means, with aliases followed, each node once. */
export class Reading {
  readonly values: Values;
  readonly #library: typeof import('yaml');
  readonly #body: string;
  readonly #of = new Map<Node, Value>();
  readonly #anchored = new Map<string, Node>();
  readonly #aliases = new Map<string, Alias[]>();
  #flows = 0;

  /** body: the text that the nodes are of */
  constructor(values: Values, library: typeof import('yaml'), body: string) {
    this.values = values;
    this.#body = body;
    this.#library = library;
  }

  /** @throws Refusal of what a guest cannot read, or reads in a way that is not known here */
  read(node: unknown): Value {
    if (node === null || node === undefined) return this.values.other('', '');
    if (this.#library.isAlias(node)) return this.#followed(node);
    const known = node as Scalar | YAMLSeq | YAMLMap;
    const { anchor, tag } = known;
    if (anchor !== undefined && (this.#anchored.has(anchor) || !isAnchorToPyYaml(anchor))) throw new Refusal('no YAML');
    if (tag !== undefined && !knownTag.test(tag)) throw new Refusal('no YAML');
    const value = this.#made(known);
    this.#of.set(known, value);
    // Only now: PyYAML's nodes may hold themselves, and what is edited must not.
    if (anchor !== undefined) this.#anchored.set(anchor, known);
    return value;
  }

  of(node: Node): Value {
    const value = this.#of.get(node);
    if (value === undefined) throw new Refusal('not certain');
    return value;
  }

  /** The node that an alias stands for. */
  target(alias: Alias): Node {
    return this.#anchored.get(alias.source) as Node;
  }

  /** The aliases of a node, in the order of the text. */
  aliasesOf({ anchor }: { anchor?: string }): readonly Alias[] {
    return anchor === undefined ? [] : (this.#aliases.get(anchor) ?? []);
  }

  #followed(alias: Alias): Value {
    const target = this.#anchored.get(alias.source);
    if (target === undefined) throw new Refusal('no YAML');
    const all = this.#aliases.get(alias.source) ?? [];
    this.#aliases.set(alias.source, all);
    all.push(alias);
    const value = this.of(target);
    this.#of.set(alias, value);
    return value;
  }

  #made(node: Scalar | YAMLSeq | YAMLMap): Value {
    if (this.#library.isScalar(node)) return this.#scalar(node);
    if (node.tag !== undefined && !node.tag.endsWith(this.#library.isSeq(node) ? ':seq' : ':map'))
      throw new Refusal('no YAML');
    if (node.flow) this.#flows++;
    const value = this.#library.isSeq(node) ? this.#list(node) : this.#map(node);
    if (node.flow) this.#flows--;
    return value;
  }

  #list({ items }: YAMLSeq): Value {
    return this.values.list(items.map((item) => this.#valueOf(item)));
  }

  #map({ items, flow = false }: YAMLMap): Value {
    return this.values.map(
      items.map(({ key, value }) => {
        if (!this.#isKeyToPyYaml(key, value, flow)) throw new Refusal('no YAML');
        const read = this.read(key);
        // No key of a Python dictionary, or none that PyYAML finds.
        if (read.kind === 'list' || read.kind === 'map' || isTooLong(key)) throw new Refusal('no YAML');
        const meant = this.#valueOf(value);
        if (isMergeKey(read) && !isMergeable(meant)) throw new Refusal('no YAML');
        return [read, meant];
      }),
    );
  }

  /** PyYAML wants a key to stand in one line with its colon; of the others, behind a question mark, it takes only some. */
  #isKeyToPyYaml(key: unknown, value: unknown, isInFlow: boolean): boolean {
    const { range, anchor, tag } = (key ?? {}) as Partial<Scalar>;
    const [start = 0, end = start] = range ?? [];
    if (end === start || this.#body.slice(start, end).includes('\n')) return false;
    if (isInFlow && (anchor !== undefined || tag !== undefined)) return false;
    return (isInFlow && value === null) || /^ *:/.test(this.#body.slice(end, end + 1024));
  }

  /** What stands where no key does: PyYAML makes nothing of a merge key there. */
  #valueOf(node: unknown): Value {
    const value = this.read(node);
    if (isMergeKey(value)) throw new Refusal('no YAML');
    return value;
  }

  #scalar({ type, source = '', tag, range }: Scalar): Value {
    const [start = 0, end = start] = range ?? [];
    // PyYAML reads no line end where there is none; what comes behind it would give it one.
    const isUnended = end === this.#body.length && !this.#body.endsWith('\n');
    if (isUnended && type?.startsWith('BLOCK')) return this.values.other(source, 'unended');
    if (!isWholeToPyYaml(this.#body.slice(start, end), type, this.#flows > 0)) throw new Refusal('no YAML');
    if ((type === 'PLAIN' || tag !== undefined) && !isMadeByPyYaml(source, tag ?? '')) throw new Refusal('no YAML');
    if (tag === textTag || (tag === undefined && type !== 'PLAIN')) return this.values.text(source);
    if (tag !== undefined) return this.values.other(source, tag);
    if (nothing.test(source)) return this.values.other('', '');
    return noText.test(source) ? this.values.other(source, '') : this.values.text(source);
  }
}

/** The parser knows this only of blocks. */
function isTooLong(key: unknown): boolean {
  const [start = 0, end = 0] = (key as Node | null)?.range ?? [];
  return end - start > 1024;
}

/** A word for null, or none at all. */
export function isNull(value: Value): boolean {
  return value.kind === 'other' && value.source === '' && value.tag === '';
}

export function isMergeKey(key: Value): boolean {
  return key.kind === 'other' && key.source === '<<' && key.tag === '';
}

function isMergeable(value: Value): boolean {
  return value.kind === 'map' || (value.kind === 'list' && value.items.every(({ kind }) => kind === 'map'));
}
