const stepMilliseconds = 200;

/** Passes bytes on and says on a terminal, and nowhere else, how far they have come. size: bytes in all */
export async function* withProgress(
  doing: string,
  bytes: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array> {
  const { stderr } = process;
  let done = 0;
  let shown = 0;
  for await (const chunk of bytes) {
    yield chunk;
    done += chunk.length;
    const now = Date.now();
    if (!stderr.isTTY || now - shown < stepMilliseconds) continue;
    shown = now;
    stderr.write(`\r${doing}: ${Math.floor((100 * done) / size)}% of ${(size / 2 ** 20).toFixed(1)} MiB`);
  }
  if (stderr.isTTY) stderr.write('\r\x1b[K');
}
