/** A peer lives as long as the harness keeps its standard input open. */
export function endWithStandardInput(): void {
  process.stdin.on('end', () => process.exit(0));
  process.stdin.resume();
}

/** Tells the harness that requests may come. */
export function ready(): void {
  process.stdout.write('ready\n');
}
