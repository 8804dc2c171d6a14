/** valibot's records leave these names out in silence, so that what was sent would be lost. */
const lostNames = ['__proto__', 'prototype', 'constructor'];

export function isLostName(name: string): boolean {
  return lostNames.includes(name);
}

/** The path of the first such name inside a value; undefined: there is none. */
export function lostNameIn(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [name, inner] of Object.entries(value)) {
    if (isLostName(name)) return name;
    const found = lostNameIn(inner);
    if (found !== undefined) return `${name}.${found}`;
  }
  return undefined;
}
