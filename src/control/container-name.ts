import { createHash } from 'node:crypto';
import { invalid } from '../errors.js';
import { isInstanceName } from '../instances/validate.js';

/** Begins the name of an instance that could not have the container's own. */
const prefix = 'x--';
const longestName = 63;
/** 128 bits: no two names with the same digest can be found. */
const digestLength = 32;
/** Of a generated id, as much as docker and podman show. */
const shownId = 12;

/** Docker, containerd and podman call containers by such ids. */
export function isGeneratedId(container: string): boolean {
  return /^[0-9a-f]{64}$/.test(container);
}

/**
 * The name of a container's instance: the container's own where that is the name of an instance, else one made of it.
 * Two containers never get the same.
 * @throws Fault invalid-value, for what is no name at all
 */
export function instanceNameOf(container: string): string {
  if (container === '' || !container.isWellFormed()) throw invalid('name', 'the container has none that is text');
  if (isGeneratedId(container)) return `oci-${container.slice(0, shownId)}`;
  return isInstanceName(container) && !isMade(container) ? container : escaped(container);
}

/** A container that is called like what is made of another's name must not become that one's instance. */
function isMade(name: string): boolean {
  return name.startsWith(prefix) || /^oci-[0-9a-f]{12}$/.test(name);
}

/**
 * Letters and digits as they are, every other byte of the UTF-8 text as a hyphen and two hexadecimal digits: of my_box
 * x--my-5fbox. Of what is too long, the beginning and a digest of all of it, after a hyphen that no digit follows.
 */
function escaped(container: string): string {
  const bytes = [...Buffer.from(container)];
  const whole = prefix + bytes.map(escapedByte).join('');
  if (whole.length <= longestName) return whole;
  const digest = createHash('sha256').update(container).digest('hex').slice(0, digestLength);
  const room = longestName - prefix.length - '--'.length - digestLength;
  return `${prefix}${container.replace(/[^a-zA-Z0-9]/g, '').slice(0, room)}--${digest}`;
}

function escapedByte(byte: number): string {
  const character = String.fromCharCode(byte);
  return /[a-zA-Z0-9]/.test(character) ? character : `-${byte.toString(16).padStart(2, '0')}`;
}
