/** A text that cloud-init reads as cloud-config. */
export interface CloudConfig {
  /** up to the end of the line with #cloud-config, with its line end when it has one */
  readonly head: string;
  readonly body: string;
}

export const newHead = '#cloud-config\n';

/** cloud-init's own rule: white space, perhaps the line that makes it a template, then the header in any case. */
const header = /^[ \t\r\n]*(?:## template: jinja[ \t\r]*\n)?#cloud-config(?![^ \t\r\n])[^\n]*(?:\n|$)/i;
const template = /^[ \t\r\n]*## template:/i;
/** Whatever jinja renders, comments too. */
const jinja = /\{[{%#]/;

/** undefined: a script, an include, MIME, an archive, anything else that is no cloud-config. An empty text is one. */
export function cloudConfigIn(text: string): CloudConfig | undefined {
  if (text === '') return { head: newHead, body: '' };
  const head = header.exec(text)?.[0];
  return head === undefined ? undefined : { head, body: text.slice(head.length) };
}

/** Is it YAML only once it is rendered? What is inserted into a template must not be rendered either. */
export function isRendered({ head, body }: CloudConfig, inserted: string): boolean {
  return template.test(head) && (jinja.test(body) || jinja.test(inserted));
}

/** What cloud-init runs and never reads users from. */
export function isScript(text: string): boolean {
  return /^[ \t\r\n]*(?:#!|#cloud-boothook|#upstart-job)/i.test(text);
}
