// Unicode Standard Annex 11 leaves the width of many characters to the terminal; these are wide in all of them.
const wide = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}]/u;
const invisible = /[\p{M}\p{Cf}]/u;
const plain = /^[\x20-\x7e]*$/;

/** Columns that a text without control characters takes on a terminal. */
export function widthOf(text: string): number {
  if (plain.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += widthOfCharacter(character);
  return width;
}

/** The text in at most this many columns; an ellipsis stands for what is left out. */
export function fitted(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let width = 0;
  let kept = '';
  for (const character of text) {
    width += widthOfCharacter(character);
    if (width >= columns) break;
    kept += character;
  }
  return `${kept}…`;
}

/** The text followed by blanks, in exactly this many columns. */
export function padded(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - widthOf(text)));
}

// Control and format characters (right-to-left marks among them), lone surrogates, and what takes no place: a name must
// not look like another one. Variation selectors belong to emoji, and stay.
export const unsafe = /(?![\ufe00-\ufe0f])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** What is given from outside must not move the cursor or hide anything: such characters become their escapes. */
export function visible(text: string): string {
  return text.replace(unsafe, escapeOf);
}

const short: ReadonlyMap<string, string> = new Map([
  ['\b', '\\b'],
  ['\t', '\\t'],
  ['\n', '\\n'],
  ['\f', '\\f'],
  ['\r', '\\r'],
]);

/** As JSON and JavaScript write it: \n, \u202e, \u{e0001}. */
function escapeOf(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16);
  return short.get(character) ?? (code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, '0')}`);
}

function widthOfCharacter(character: string): number {
  if (invisible.test(character)) return 0;
  return wide.test(character) ? 2 : 1;
}
