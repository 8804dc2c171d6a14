interface Cell {
  count: number;
}

/** How many requests an endpoint has answered with which status; a few plain numbers, because each request counts. */
export class RequestCounts {
  readonly #cells = new Map<string, Map<string, Cell>>();

  /** endpoint: as the table of the API has it, never what was asked; status: its first word counts */
  add(endpoint: string, status: string): void {
    const cells = this.#cells.get(endpoint) ?? this.#begin(endpoint);
    const cell = cells.get(status);
    if (cell === undefined) cells.set(status, { count: 1 });
    else cell.count++;
  }

  *entries(): Iterable<{ endpoint: string; status: string; count: number }> {
    for (const [endpoint, cells] of this.#cells) {
      for (const [status, { count }] of cells) yield { endpoint, status: status.slice(0, 3), count };
    }
  }

  #begin(endpoint: string): Map<string, Cell> {
    const cells = new Map<string, Cell>();
    this.#cells.set(endpoint, cells);
    return cells;
  }
}

/** For a path that no endpoint has: paths are chosen by the caller, and would be too many. */
export const noEndpoint = 'none';
