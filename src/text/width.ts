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

/** The text in at most so many columns; an ellipsis stands for what is left out. */
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

/** The text followed by blanks, in exactly so many columns. */
export function padded(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - widthOf(text)));
}

/** What is given from outside must not move the cursor: control characters become their escapes. */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, (character) => {
    return JSON.stringify(character)
      .slice(1, -1)
      .replace(/^[^\\]/, '?');
  });
}

function widthOfCharacter(character: string): number {
  if (invisible.test(character)) return 0;
  return wide.test(character) ? 2 : 1;
}
