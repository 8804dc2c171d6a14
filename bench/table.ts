/** Three digits or all before the point: 0.123, 12.3, 123,456 */
export function shown(value: number): string {
  const decimals = Number.isInteger(value)
    ? 0
    : Math.max(0, 2 - Math.floor(Math.log10(Math.max(Math.abs(value), 0.01))));
  return value.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** The first column to the left, the figures to the right. */
export function table(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => {
    const [first = '', ...figures] = row;
    const cells = figures.map((figure, index) => figure.padStart(widths[index + 1] ?? 0));
    return `  ${[first.padEnd(widths[0] ?? 0), ...cells].join('  ')}`;
  });
}
