// What has become of tests, from the lines of TAP as they come: on a terminal one line that moves, elsewhere only what
// has failed, and the end.

export class Tally {
  #label;
  #stream;
  #began = Date.now();
  #lines = 0;
  #counts = {};
  #skipped = new Map();

  constructor(label, stream = process.stdout) {
    this.#label = label;
    this.#stream = stream;
  }

  take(line) {
    if (/^ *(?:not )?ok \d+/.test(line)) this.#lines++;
    if (/^ *not ok /.test(line)) this.#say(`  ${line.trim()}`);
    const [, why] = /^ *ok .* # SKIP ?(.*)$/.exec(line) ?? [];
    if (why !== undefined) this.#skipped.set(why, (this.#skipped.get(why) ?? 0) + 1);
    const [, what, count] = /^# (tests|pass|fail|cancelled|skipped) (\d+)$/.exec(line) ?? [];
    if (what !== undefined) this.#counts[what] = Number(count);
    if (this.#stream.isTTY) this.#stream.write(`\r\x1b[K${this.#label}: ${this.#lines} tests, ${this.#seconds()} s`);
  }

  /** counts: tests, passed, failed, skipped */
  end(ended) {
    const { tests, pass, skipped } = this.#counts;
    const fail = this.#counts.fail + this.#counts.cancelled; // cancelled: what took too long
    if (tests === undefined) this.#say(`${this.#label}: ${this.#lines} tests, and then it ${ended}`);
    else this.#say(`${this.#label}: ${tests} tests, ${pass} passed, ${fail} failed, ${skipped} skipped`);
    for (const [why, count] of this.#skipped) this.#say(`  skipped ${count}: ${why}`);
    return { counts: [tests, pass, fail, skipped], seconds: this.#seconds() };
  }

  #seconds() {
    return Math.round((Date.now() - this.#began) / 1000);
  }

  #say(line) {
    this.#stream.write(`${this.#stream.isTTY ? '\r\x1b[K' : ''}${line}\n`);
  }
}
