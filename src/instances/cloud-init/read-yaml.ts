import { createRequire } from 'node:module';
import type { Document, Lexer } from 'yaml';
import { Refusal } from './refusal.js';

const require = createRequire(import.meta.url);
let loaded: typeof import('yaml') | undefined;

/** Loaded with the first document: it takes 4 MB, which most hosts have no need of. */
export function yaml(): typeof import('yaml') {
  loaded ??= require('yaml') as typeof import('yaml');
  return loaded;
}

/** Of a document that keys are merged into. It is parsed twice on the event loop, about 10 microseconds a token each. */
export const longestDocument = 64 * 1024;
export const mostTokens = 3000;
/** Comments and white space cost less. */
const mostPieces = 8000;
const mostFlowDepth = 50;

/**
 * Line ends of YAML 1.1 that YAML 1.2 does not have; what PyYAML does not take at all; a byte order mark, which is
 * text to one of them; a carriage return of its own.
 */
const divided =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]|\r(?!\n)/u;

/** Does it end lines where YAML 1.2 does not, or hold what PyYAML refuses? */
export function isDivided(text: string): boolean {
  return divided.test(text);
}

/**
 * Parses what is the same to PyYAML, as far as can be said here: scalars as they are written, no directives.
 * @param times how much larger it may be: one that keys were inserted into has more of everything
 * @throws Refusal
 */
export function documentIn(body: string, times = 1): Document {
  if (body.length > longestDocument * times) throw new Refusal('too long');
  if (isDivided(body) || /^%/m.test(body)) throw new Refusal('not plain YAML');
  countTokens(body, times);
  const options = {
    version: '1.1',
    schema: 'failsafe',
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'error',
  } as const;
  const document: Document = yaml().parseDocument(body, options);
  if (document.errors.length > 0) throw new Refusal('no YAML');
  return document;
}

/** The lexer is quick; what comes after it is not. */
function countTokens(body: string, times: number): void {
  const lexer: Lexer = new (yaml().Lexer)();
  let [tokens, pieces, depth] = [0, 0, 0];
  for (const piece of lexer.lex(body)) {
    if (piece === '[' || piece === '{') depth++;
    else if (piece === ']' || piece === '}') depth--;
    // A tab that separates or indents: readers of YAML do not agree on it.
    else if (/^ *\t[ \t]*$/.test(piece)) throw new Refusal('not plain YAML');
    pieces++;
    if (!/^(?:\s*|#.*)$/.test(piece)) tokens++;
    if (tokens > mostTokens * times || pieces > mostPieces * times || depth > mostFlowDepth)
      throw new Refusal('too complex');
  }
}
