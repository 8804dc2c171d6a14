interface Cell {
  /** this endpoint and status, as a number: from 0 on, without gaps */
  readonly kind: number;
  count: number;
}

/** How many requests an endpoint has answered with which status; a few plain numbers, because each request counts. */
export class RequestCounts {
  readonly #cells = new Map<string, Map<string, Cell>>();
  #kinds = 0;

  /** ok: counted for each of these endpoints from the start, so that the first one shows as a change */
  constructor(endpoints: readonly { readonly path: string }[], ok: string) {
    for (const { path } of endpoints) this.add(path, ok, 0);
  }

  /**
   * endpoint: as the table of the API has it, never what was asked; status: its first word counts
   * @returns the number of this endpoint and status
   */
  add(endpoint: string, status: string, times = 1): number {
    const cells = this.#cells.get(endpoint) ?? this.#begin(endpoint);
    const cell = cells.get(status) ?? this.#beginCell(cells, status);
    cell.count += times;
    return cell.kind;
  }

  *entries(): Iterable<{ endpoint: string; status: string; kind: number; count: number }> {
    for (const [endpoint, cells] of this.#cells) {
      for (const [status, { kind, count }] of cells) yield { endpoint, status: status.slice(0, 3), kind, count };
    }
  }

  #beginCell(cells: Map<string, Cell>, status: string): Cell {
    const cell = { kind: this.#kinds++, count: 0 };
    cells.set(status, cell);
    return cell;
  }

  #begin(endpoint: string): Map<string, Cell> {
    const cells = new Map<string, Cell>();
    this.#cells.set(endpoint, cells);
    return cells;
  }
}

/** For a path that no endpoint has: paths are chosen by the caller, and would be too many. */
export const noEndpoint = 'none';
