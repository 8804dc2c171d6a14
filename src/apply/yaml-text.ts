import { type Document, isNode, LineCounter, parseDocument, visit } from 'yaml';
import { OptionError } from '../config/options.js';
import { plainYamlIn } from './plain-yaml.js';

/** Tags that Go's reader takes for a value that is to be a string, besides tags that make a string of it. */
const knownTag = /^(?:!|tag:yaml\.org,2002:(?:str|int|float|bool|null|binary|timestamp|map|seq|merge))$/;

/** What Go's reader leaves as the empty string. */
const nothing = {
  tag: 'tag:yaml.org,2002:null',
  default: true,
  test: /^(?:~|null|Null|NULL)?$/,
  resolve: (): string => '',
} as const;

/** Base64 in text, as in Go; bytes that are no text are refused where the document is read. */
const binary = {
  tag: 'tag:yaml.org,2002:binary',
  resolve: (source: string): string =>
    new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytesOf(source)),
} as const;

/**
 * YAML as LXD's Go reads it into strings: `yes`, `0644` and `1.10` stay what is written, nothing is the empty string,
 * `!!binary` is decoded and `<<` merges.
 * @throws OptionError, with the line
 */
export function yamlTextIn(text: string, path: string): unknown {
  return plainYamlIn(text) ?? anyYamlIn(text, path);
}

/** The same, whatever is in it. */
export function anyYamlIn(text: string, path: string): unknown {
  const lines = new LineCounter();
  const document: Document = parseDocument(text, {
    schema: 'failsafe',
    merge: true,
    customTags: (tags) => [...tags, nothing, binary],
    lineCounter: lines,
    prettyErrors: false,
  });
  const lineOf = (at = 0): string => `${path}, line ${lines.linePos(at).line}`;
  const [error] = document.errors;
  if (error?.code === 'MULTIPLE_DOCS')
    throw new OptionError(`${lineOf(error.pos[0])}: a second document begins here; apply each from a file of its own.`);
  if (error !== undefined) throw new OptionError(`${path} is no YAML: ${error.message} (${lineOf(error.pos[0])})`);
  visit(document, {
    Node(_, node) {
      const tag = isNode(node) && 'tag' in node ? node.tag : undefined;
      if (tag !== undefined && !knownTag.test(tag))
        throw new OptionError(
          `${lineOf(node.range?.[0])}: the tag ${tag} means nothing here; write the value without it.`,
        );
    },
  });
  try {
    return document.toJS({ maxAliasCount: 1000 });
  } catch (error) {
    throw new OptionError(`${path} is no YAML: ${(error as Error).message}`);
  }
}

function bytesOf(source: string): Buffer {
  const plain = source.replace(/\s/g, '');
  const bytes = Buffer.from(plain, 'base64');
  if (bytes.toString('base64').replace(/=*$/, '') !== plain.replace(/=*$/, '')) throw new Error('not base64');
  return bytes;
}
