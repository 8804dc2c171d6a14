import { spawnSync } from 'node:child_process';

let count = 0;

function ip(...words: string[]): void {
  const { status, stderr } = spawnSync('ip', words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${words.join(' ')}: ${stderr}`);
}

function problem(): string | false {
  if (process.getuid?.() !== 0) return 'needs root, to make network namespaces';
  const name = `devlxd-try-${process.pid}`;
  const { status, stderr, error } = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' });
  spawnSync('ip', ['netns', 'del', name]);
  return status === 0 ? false : `cannot make network namespaces: ${error?.message ?? stderr.trim()}`;
}

/** For tests that need network namespaces of their own. */
export const needsNetworks = { skip: problem() };

/** A network namespace that has one way out, to this machine, which can be cut. */
export class Network {
  readonly #name: string;
  readonly #outside: string;
  /** of this machine, as it is seen from inside */
  readonly gateway: string;

  constructor() {
    const id = `${process.pid}n${++count}`;
    this.#name = `devlxd-${id}`;
    this.#outside = `d${id}`;
    const inside = `i${id}`;
    const subnet = `10.${200 + (process.pid % 50)}.${(process.pid >> 6) % 250}`;
    this.gateway = `${subnet}.${count * 4 + 1}`;
    ip('netns', 'add', this.#name);
    ip('link', 'add', this.#outside, 'type', 'veth', 'peer', 'name', inside, 'netns', this.#name);
    ip('addr', 'add', `${this.gateway}/30`, 'dev', this.#outside);
    ip('link', 'set', this.#outside, 'up');
    for (const words of [
      ['addr', 'add', `${subnet}.${count * 4 + 2}/30`, 'dev', inside],
      ['link', 'set', inside, 'up'],
      ['link', 'set', 'lo', 'up'],
    ])
      ip('-n', this.#name, ...words);
  }

  /** Words that start a program inside, and become it. */
  get prefix(): readonly string[] {
    return ['ip', 'netns', 'exec', this.#name];
  }

  /** Nothing comes through any more, and nobody is told. */
  cut(): void {
    ip('link', 'set', this.#outside, 'down');
  }

  heal(): void {
    ip('link', 'set', this.#outside, 'up');
  }

  remove(): void {
    spawnSync('ip', ['netns', 'del', this.#name]);
    spawnSync('ip', ['link', 'del', this.#outside]);
  }
}
