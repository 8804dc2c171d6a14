/** What PyYAML takes for no printable character, for a line end or for a byte order mark, and what is not in the BMP. */
const special = /[\u007f-\u00a0\u2028\u2029\ufeff\ufffe\uffff]|[\u{10000}-\u{10ffff}]/gu;

/** A string as one double-quoted scalar, the same to readers of YAML 1.1 and 1.2. */
export function quoted(text: string): string {
  return JSON.stringify(text).replace(special, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16);
    return code.length > 4 ? `\\U${code.padStart(8, '0')}` : `\\u${code.padStart(4, '0')}`;
  });
}
