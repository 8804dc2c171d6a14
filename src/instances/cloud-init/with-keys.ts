import type { Node } from 'yaml';
import { cloudConfigIn, isRendered } from './cloud-config.js';
import { Edit } from './edit.js';
import { expected, listOf, placesIn, planFor, type Side, usersOf } from './plan.js';
import { documentIn, isDivided, yaml } from './read-yaml.js';
import { Refusal } from './refusal.js';
import type { UserKeys } from './ssh-keys.js';
import { Reading, type Value, Values } from './values.js';

/**
 * A cloud-config with keys of users inserted; all other bytes stay. What comes of it is read again: it means the same
 * as before, but for the keys of these users.
 * @param onlyWithUsers undefined comes back where the document has no users of its own
 * @throws Refusal
 */
export function withKeys(text: string, keys: readonly UserKeys[], onlyWithUsers: boolean): string | undefined {
  const config = cloudConfigIn(text);
  if (config === undefined) throw new Refusal('no cloud-config');
  if (isDivided(config.head)) throw new Refusal('not plain YAML');
  if (isRendered(config, JSON.stringify(keys))) throw new Refusal('a template');
  const eol = config.head.endsWith('\r\n') ? '\r\n' : '\n';
  const body = bodyWithKeys(config.body, eol, keys, onlyWithUsers);
  if (body === undefined) return undefined;
  return `${config.head}${config.head.endsWith('\n') ? '' : eol}${body}`;
}

function bodyWithKeys(
  body: string,
  eol: string,
  keys: readonly UserKeys[],
  onlyWithUsers: boolean,
): string | undefined {
  const reading = new Reading(new Values(), yaml(), body);
  const { values } = reading;
  const contents = documentIn(body).contents as Node | null;
  const top = reading.read(contents);
  const users = usersOf(top);
  if (onlyWithUsers && users === undefined) return undefined;
  const list = listOf(users, values);
  const places = placesIn(list);
  const plans = keys.map((one) => planFor(list, places, one, values));
  for (const side of ['last', 'first'] satisfies Side[]) {
    const wanted = expected(top, list, plans, values, side);
    if (wanted === top) return body;
    const edited = attempt(() => new Edit(body, eol, reading, side).made(contents, plans));
    // Into nothing nothing can go wrong, and the keys may be more than is read again.
    if (edited !== undefined && (body === '' || attempt(() => meaning(edited, values)) === wanted)) return edited;
  }
  throw new Refusal('not certain');
}

function meaning(body: string, values: Values): Value {
  return new Reading(values, yaml(), body).read(documentIn(body, 2).contents);
}

function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}
