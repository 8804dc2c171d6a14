import { Document, visit } from 'yaml';
import { unsafe } from '../text/width.js';

/** What YAML 1.1 has besides: the schema of the library does not know it. */
const special = /^(?:=|<<|[^\n]*\t[^\n]*)$/;

/**
 * A value as YAML that hides nothing on a terminal: what `visible` escapes is escaped in double quotes. So is text that
 * readers of YAML 1.1 (LXD's, PyYAML) take for something else, as yes and 12:30.
 */
export function yamlOf(value: unknown): string {
  const document = new Document(value, { aliasDuplicateObjects: false, compat: 'yaml-1.1' });
  visit(document, {
    Scalar: (_key, node) => {
      if (typeof node.value !== 'string') return;
      if (escaped(node.value) !== node.value || special.test(node.value)) node.type = 'QUOTE_DOUBLE';
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
