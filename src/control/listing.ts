import { sortInTurns } from '../concurrency/sort-in-turns.js';
import { Turn } from '../concurrency/turn.js';
import { byName, type Keyed } from '../instances/record-table.js';
import { type ControlReply, type ControlRequest, syncEnvelope } from './control-reply.js';
import { linesType } from './ndjson.js';

/** One thing of a list. */
export interface Listed<Row> {
  /** asked before anything is rendered, where only some are wanted */
  readonly matches?: ((row: Row) => boolean) | undefined;
  /** its JSON; what is long is in parts */
  readonly textOf: (row: Row) => string | Iterable<string>;
}

/** Characters that are given to the socket at once. */
const portion = 64 * 1024;

const [beforeMetadata] = JSON.stringify(syncEnvelope('')).split('""}') as [string];
const list = { begin: `${beforeMetadata}[`, between: ',', end: ']}\n' };
const lines = { begin: '', between: '\n', end: '\n' };

/**
 * A list by name, of the moment at which it was asked for: what is given are versions that never change. Rows are
 * filtered and rendered while the reader takes them, and in turns with guests, so that it does not matter how many.
 */
export function listed<Row extends Keyed>(
  { headers }: Pick<ControlRequest, 'headers'>,
  all: Row[],
  how: Listed<Row>,
): ControlReply {
  const isLines = headers['accept'] === linesType;
  return { kind: 'pieces', type: isLines ? linesType : 'application/json', pieces: listText(all, how, isLines) };
}

/** One thing that is long, in an envelope. */
export function long(parts: Iterable<string>, etag: string): ControlReply {
  return { kind: 'pieces', type: 'application/json', etag, pieces: objectText(parts) };
}

/** With ?etags=true each thing of a list has its entity tag, for clients that write back what they have read. */
export function tagsOf<Row>(
  { query }: Pick<ControlRequest, 'query'>,
  etagOf: (row: Row) => string,
): (row: Row) => { readonly etag?: string } {
  return query.get('etags') === 'true' ? (row) => ({ etag: etagOf(row) }) : () => ({});
}

async function* listText<Row extends Keyed>(
  all: Row[],
  { matches, textOf }: Listed<Row>,
  isLines: boolean,
): AsyncGenerator<string, void, void> {
  const turn = new Turn();
  const chosen = matches === undefined ? all : await filtered(all, matches, turn);
  const rows = await sortInTurns(chosen, byName);
  const { begin, between, end } = isLines ? lines : list;
  yield* pieces(partsOf(rows, textOf, begin, between, rows.length === 0 && isLines ? '' : end), turn);
}

function* partsOf<Row>(
  rows: readonly Row[],
  textOf: Listed<Row>['textOf'],
  begin: string,
  between: string,
  end: string,
): Generator<string, void, void> {
  yield begin;
  for (const [index, row] of rows.entries()) {
    if (index > 0) yield between;
    const text = textOf(row);
    if (typeof text === 'string') yield text;
    else yield* text;
  }
  yield end;
}

async function* objectText(parts: Iterable<string>): AsyncGenerator<string, void, void> {
  yield beforeMetadata;
  yield* pieces(parts, new Turn());
  yield '}\n';
}

async function* pieces(parts: Iterable<string>, turn: Turn): AsyncGenerator<string, void, void> {
  let text = '';
  for (const part of parts) {
    text += part;
    const pause = turn.end();
    if (pause !== undefined) await pause;
    if (text.length < portion) continue;
    yield text;
    text = '';
  }
  yield text;
}

async function filtered<Row>(all: readonly Row[], matches: (row: Row) => boolean, turn: Turn): Promise<Row[]> {
  const chosen: Row[] = [];
  for (const row of all) {
    if (matches(row)) chosen.push(row);
    const pause = turn.end();
    if (pause !== undefined) await pause;
  }
  return chosen;
}
