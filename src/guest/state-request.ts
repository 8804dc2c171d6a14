import type { PeerName } from '../model/instance.js';

/** Why a body says no state. */
class Unread {
  readonly sentence: string;

  constructor(sentence: string) {
    this.sentence = sentence;
  }
}

/** The state that a body says, whatever it is; or the sentence why it says none, in the words of the daemon that is asked. */
export function stateIn(body: string, peer: PeerName | undefined): string | Unread {
  if (peer === 'incus' && body.trim() === '') return new Unread('EOF');
  try {
    const parsed: unknown = JSON.parse(body);
    if (!body.isWellFormed()) return unread(`${fieldWithBytes(body).toWellFormed()} is not UTF-8`);
    return peer === 'incus' ? stateAsInIncus(parsed) : stateOf(parsed);
  } catch (error) {
    return unread((error as Error).message);
  }
}

function unread(reason: string): Unread {
  return new Unread(`Invalid request body: ${reason}`);
}

function stateOf(parsed: unknown): string | Unread {
  if (typeof parsed !== 'object' || parsed === null) return unread('not a JSON object');
  const state = 'state' in parsed ? parsed.state : '';
  return typeof state === 'string' ? state : unread('state is not a string');
}

/** As Go's encoding/json reads api.DevIncusPut (cmd/incusd/dev_incus.go). */
function stateAsInIncus(parsed: unknown): string | Unread {
  if (parsed === null) return '';
  if (typeof parsed !== 'object' || Array.isArray(parsed))
    return new Unread(`json: cannot unmarshal ${kindOf(parsed)} into Go value of type api.DevIncusPut`);
  const state = ('state' in parsed ? parsed.state : undefined) ?? '';
  if (typeof state === 'string') return state;
  return new Unread(`json: cannot unmarshal ${kindOf(state)} into Go struct field DevIncusPut.state of type string`);
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

/** The field of a JSON text whose name or value has bytes that are no text: markedText. */
function fieldWithBytes(body: string): string {
  let field: string | undefined;
  JSON.parse(body, (key, value: unknown) => {
    if (!key.isWellFormed() || (typeof value === 'string' && !value.isWellFormed())) field ??= key;
    return value;
  });
  return field ?? 'the body';
}
