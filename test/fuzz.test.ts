import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaintAbout } from './fuzz/responses.js';
import { fuzz } from './fuzz/run.js';

// A few seconds of "npm run fuzz", whose requests are sent three ways; a failure names the seed that repeats it.
const seed = Date.now() % 2 ** 31;

for (const [label, daemon] of Object.entries({ 'kept answers': [], 'no kept answers': ['--response-cache', '0'] })) {
  test(`random streams, ${label} (seed ${seed})`, async () => {
    const { answers, memory } = await fuzz({ seed, streams: 300, daemon });
    assert.ok(answers > 50, `${answers} answers`);
    assert.ok(memory[1] < memory[0] * 2 + 50_000, `${memory[0]} kB became ${memory[1]} kB`);
  });
}

test('what is no answer is found out', () => {
  const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
  assert.equal(complaintAbout(''), undefined);
  assert.equal(complaintAbout(answer + answer + answer.slice(0, 12)), undefined);
  assert.equal(complaintAbout(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${answer}`), undefined); // HEAD, then GET
  assert.match(complaintAbout(`${answer}x${answer}`) ?? '', /no status line/);
  assert.match(complaintAbout('nonsense that goes on and on and on') ?? '', /no answer/);
  assert.match(complaintAbout('HTTP/1.1 200 OK\r\nno colon\r\n\r\n') ?? '', /no header/);
  assert.match(complaintAbout('HTTP/1.1 200 OK\r\nX: y\r\n\r\nok') ?? '', /no length/);
});
