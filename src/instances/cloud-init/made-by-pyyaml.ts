/** The forms that PyYAML makes a value of when a tag asks for it; it takes some more, which nobody writes. */
const tagged: Readonly<Record<string, RegExp>> = {
  'tag:yaml.org,2002:int': /^[-+]?(?:0|[1-9]\d*)$/,
  'tag:yaml.org,2002:float': /^[-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?$/i,
  'tag:yaml.org,2002:bool': /^(?:yes|no|true|false|on|off)$/i,
  'tag:yaml.org,2002:timestamp': /^\d{4}-\d\d-\d\d$/,
  'tag:yaml.org,2002:binary': /^(?:[a-z\d+/]{4})*(?:[a-z\d+/]{2}==|[a-z\d+/]{3}=)?$/i,
  'tag:yaml.org,2002:seq': /^(?!)/,
  'tag:yaml.org,2002:map': /^(?!)/,
};
/** PyYAML looks for no digit behind the letter. */
const noDigits = /^[-+]?0[bx]_+$/;
const day = /^(\d{4})-(\d\d)-(\d\d)$/;
const moment =
  /^(\d{4})-(\d\d?)-(\d\d?)(?:[Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(?:\.\d*)?(?:[ \t]*(?:Z|[-+](\d\d?)(?::(\d\d))?))?$/;

/** Can PyYAML make a value of a scalar? Where it cannot, it reads nothing of the document. */
export function isMadeByPyYaml(source: string, tag: string): boolean {
  if (tag === '') return source !== '=' && !noDigits.test(source) && exists(source);
  const form = tagged[tag];
  return form === undefined || (form.test(source.replace(/[ \t\r\n]/g, '')) && exists(source));
}

/** The 31st of February is a timestamp by its form, and none that can be made. */
function exists(source: string): boolean {
  const found = day.exec(source) ?? moment.exec(source);
  if (found === null) return true;
  const numbers = found.slice(1).map((text) => Number(text ?? 0));
  const [year = 0, month = 0, date = 0, hour = 0, minute = 0, second = 0, zoneHours = 0, zoneMinutes = 0] = numbers;
  const made = new Date(0);
  made.setUTCFullYear(year, month - 1, date);
  const isDay = year > 0 && made.getUTCMonth() === month - 1 && made.getUTCDate() === date;
  return isDay && hour < 24 && minute < 60 && second < 60 && zoneHours * 60 + zoneMinutes < 24 * 60;
}

/**
 * Does a scalar end for PyYAML where it ends for others? Plain ones end at a tab, and in flow style at a question mark;
 * there none begins with a colon.
 * @param text as it stands in the document, with its quotes
 */
export function isWholeToPyYaml(text: string, type: string | undefined, isInFlow: boolean): boolean {
  if (type === 'PLAIN') return !(isInFlow ? /^:|[\t?]/ : /\t/).test(text);
  return type !== 'QUOTE_SINGLE' || /^'(?:[^']|'')*'$/.test(text);
}

/** Others take more in the name of an anchor than letters, digits, hyphens and underscores. */
export function isAnchorToPyYaml(name: string): boolean {
  return /^[\w-]+$/.test(name);
}
