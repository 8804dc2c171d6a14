// What set-up says while it works: on a terminal one line that moves, elsewhere one line for each step that is done.

const tickMilliseconds = 200;

export class Progress {
  #stream;
  #steps = new Map();
  #timer;

  constructor(stream = process.stderr) {
    this.#stream = stream;
  }

  begin(name, why) {
    this.#steps.set(name, { began: Date.now(), compiled: 0 });
    if (this.#stream.isTTY) this.#timer ??= setInterval(() => this.#draw(), tickMilliseconds);
    else this.#stream.write(`setup: ${name} (${why}) ...\n`);
  }

  /** One more file of a step is compiled. */
  compiled(name) {
    this.#steps.get(name).compiled++;
  }

  end(name, outcome) {
    const { began } = this.#steps.get(name);
    this.#steps.delete(name);
    this.#clear();
    this.#stream.write(`setup: ${name}: ${outcome}, ${secondsSince(began)} s\n`);
    if (this.#steps.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #draw() {
    const parts = [...this.#steps].map(([name, { began, compiled }]) => {
      const files = compiled > 0 ? `${compiled} ${compiled === 1 ? 'file' : 'files'}, ` : '';
      return `${name} ${files}${secondsSince(began)} s`;
    });
    this.#clear();
    this.#stream.write(`setup: ${parts.join(' | ')}`.slice(0, (this.#stream.columns ?? 80) - 1));
  }

  #clear() {
    if (this.#stream.isTTY) this.#stream.write('\r\x1b[K');
  }
}

function secondsSince(began) {
  return ((Date.now() - began) / 1000).toFixed(1);
}
