import { Document, visit } from 'yaml';
import { unsafe } from '../text/width.js';

/** A value as YAML that hides nothing on a terminal: what `visible` escapes is escaped in double quotes. */
export function yamlOf(value: unknown): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  visit(document, {
    Scalar: (_key, node) => {
      if (typeof node.value === 'string' && escaped(node.value) !== node.value) node.type = 'QUOTE_DOUBLE';
    },
  });
  return escaped(document.toString({ lineWidth: 0 })).trimEnd();
}

/** Line ends and tabs are the layout of the document, and of long values in it. */
function escaped(text: string): string {
  return text.replace(unsafe, (character) => {
    if (character === '\n' || character === '\t') return character;
    const code = (character.codePointAt(0) ?? 0).toString(16);
    return code.length > 4 ? `\\U${code.padStart(8, '0')}` : `\\u${code.padStart(4, '0')}`;
  });
}
