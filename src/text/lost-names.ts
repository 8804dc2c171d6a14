/** valibot's records leave these names out in silence, so that what was sent would be lost. */
const lostNames = ['__proto__', 'prototype', 'constructor'];

export function isLostName(name: string): boolean {
  return lostNames.includes(name);
}

/** The path of the first such name inside a value; undefined: there is none. */
export function lostNameIn(value: unknown, path: readonly string[] = []): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [name, inner] of Object.entries(value)) {
    const found = isLostName(name) ? [...path, name].join('.') : lostNameIn(inner, [...path, name]);
    if (found !== undefined) return found;
  }
  return undefined;
}
