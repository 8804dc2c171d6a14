import { filterInTurns } from '../concurrency/filter-in-turns.js';
import { sortInTurns } from '../concurrency/sort-in-turns.js';
import { Turn } from '../concurrency/turn.js';
import { byName, type Keyed } from '../instances/record-table.js';
import { beforeMetadata, type ControlReply, type ControlRequest } from './control-reply.js';
import { linesType } from './ndjson.js';

/** One thing of a list. */
export interface Listed<Row> {
  /** asked before anything is rendered, where only some are wanted */
  readonly matches?: ((row: Row) => boolean) | undefined;
  /** its JSON; what is long is in parts */
  readonly textOf: (row: Row) => string | Iterable<string>;
}

/** Bytes that are given to the socket at once. */
const portion = 64 * 1024;
/** of a character, as UTF-16 counts them, in UTF-8 */
const mostBytes = 3;

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
  return { kind: 'pieces', type: 'application/json', etag, pieces: pieces(enveloped(parts)) };
}

/**
 * With ?etags=true each thing of a list has its entity tag, for clients that write back what they have read; with
 * ?writable=true things are shown with what can be written, and no more.
 */
export function asksFor({ query }: Pick<ControlRequest, 'query'>, what: 'etags' | 'writable'): boolean {
  return query.get(what) === 'true';
}

async function* listText<Row extends Keyed>(
  all: Row[],
  { matches, textOf }: Listed<Row>,
  isLines: boolean,
): AsyncGenerator<Uint8Array, void, void> {
  const turn = new Turn();
  const chosen = matches === undefined ? all : await filterInTurns(all, matches, turn);
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
  let before = begin;
  for (const row of rows) {
    const text = textOf(row);
    if (typeof text === 'string') yield before + text;
    else {
      yield before;
      yield* text;
    }
    before = between;
  }
  yield rows.length === 0 ? begin + end : end;
}

function* enveloped(parts: Iterable<string>): Generator<string, void, void> {
  yield beforeMetadata;
  yield* parts;
  yield '}\n';
}

/** Text that is put together would live long enough to be moved by the collector, twice, before it is sent. */
async function* pieces(parts: Iterable<string>, turn = new Turn()): AsyncGenerator<Uint8Array, void, void> {
  const piece = Buffer.allocUnsafe(portion);
  let length = 0;
  for (const part of parts) {
    const most = part.length * mostBytes;
    if (length > 0 && most > portion - length) {
      yield piece.subarray(0, length);
      length = 0;
    }
    if (most > portion) yield Buffer.from(part);
    else length += piece.write(part, length);
    const pause = turn.end();
    if (pause !== undefined) await pause;
  }
  if (length > 0) yield piece.subarray(0, length);
}
