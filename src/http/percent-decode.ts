/** A percent-encoded segment of a path; undefined: it has a broken escape, or is not UTF-8. */
export function percentDecode(segment: string): string | undefined {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
