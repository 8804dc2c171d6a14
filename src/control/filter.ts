import { invalid } from '../errors.js';

/** Is this one asked for? read: gives the value at a dotted path of what the API shows of it */
export type Filter = (read: Reader) => boolean;
export type Reader = (path: string) => string | undefined;

const word = /\s*("(?:[^"\\]|\\.)*"|!=|=|[^\s=!"]+)/y;
const operators: ReadonlyMap<string, boolean> = new Map([
  ['=', true],
  ['eq', true],
  ['!=', false],
  ['ne', false],
]);

/**
 * The filter of a request: `?filter=status=Running and config.user.role eq web`. Clauses are joined by `and` and
 * `or`, from left to right, and turned round by `not`; upper and lower case are the same (LXD's doc/rest-api.md,
 * "Filtering"; its regular expressions are not there, since one can be made that never ends).
 * @throws Fault invalid-value
 */
export function filterOf(query: URLSearchParams): Filter | undefined {
  const text = query.get('filter');
  return text ? parseFilter(text) : undefined;
}

function parseFilter(text: string): Filter {
  const words = wordsOf(text);
  let result = clause(words);
  while (words.length > 0) {
    const joint = words.shift();
    const [before, next] = [result, clause(words)];
    if (joint === 'and') result = (read) => before(read) && next(read);
    else if (joint === 'or') result = (read) => before(read) || next(read);
    else throw invalid('filter', `"${joint}" stands where "and" or "or" should`);
  }
  return result;
}

function clause(words: string[]): Filter {
  if (words[0] === 'not') {
    words.shift();
    const turned = clause(words);
    return (read) => !turned(read);
  }
  const [field, operator = '', value] = words.splice(0, 3);
  const equal = operators.get(operator);
  if (field === undefined || equal === undefined || value === undefined) {
    throw invalid('filter', 'must be like "status=Running and config.user.role=web"');
  }
  const wanted = unquoted(value).toLowerCase();
  return (read) => (read(field)?.toLowerCase() === wanted) === equal;
}

function wordsOf(text: string): string[] {
  const words: string[] = [];
  word.lastIndex = 0;
  const end = text.trimEnd().length;
  while (word.lastIndex < end) {
    const from = word.lastIndex;
    const found = word.exec(text)?.[1];
    if (found === undefined) throw invalid('filter', `cannot be read from "${text.slice(from)}" on`);
    words.push(found);
  }
  return words;
}

function unquoted(value: string): string {
  return value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value;
}

/** Reads what an object has. */
export function readerOf(object: object): Reader {
  return (path) => textAt(object, path);
}

/** The value at a dotted path; the keys of a configuration have dots themselves. */
function textAt(object: unknown, path: string): string | undefined {
  if (typeof object !== 'object' || object === null) return undefined;
  const values = object as Readonly<Record<string, unknown>>;
  if (Object.hasOwn(values, path)) return String(values[path]);
  for (let dot = path.indexOf('.'); dot > 0; dot = path.indexOf('.', dot + 1)) {
    const head = path.slice(0, dot);
    if (Object.hasOwn(values, head)) return textAt(values[head], path.slice(dot + 1));
  }
  return undefined;
}
