import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Lxd } from '../../src/sources/lxd.js';
import { FakeLxd } from '../support/fake-lxd.js';

const fake = new FakeLxd();
const limits = { 'source-seconds': 0.05 };
const source = new Lxd({ name: 'incus', socketPath: fake.socket }, limits);
const a = { project: 'default', name: 'a' };
const silent = { changed: () => undefined, ended: () => undefined };

before(() => fake.start());
after(async () => {
  source.close();
  await fake.remove();
});

test('whatever a source is asked fails when it hangs, and works again afterwards', async () => {
  fake.hang(true);
  await assert.rejects(source.list(), /^Error: Incus on .*: GET \/1.0\/instances\?.*: no answer within 0.5 s$/);
  await assert.rejects(source.get(a), /^Error: Incus on .*: GET .*: no answer within 0.05 s$/);
  await assert.rejects(source.follow(silent), /handshake has timed out/);
  limits['source-seconds'] = 0;
  fake.hang(false);
  fake.add('a');
  assert.equal((await source.list()).instances.length, 1);
  assert.equal((await source.get(a))?.name, 'a');
  (await source.follow(silent))();
});

test('what waits for one that hangs fails at once when it is closed, and so does what comes after', async () => {
  fake.hang(true);
  const patient = new Lxd({ name: 'lxd', socketPath: fake.socket }, { 'source-seconds': 0 });
  const failed = [patient.list(), patient.get(a), patient.follow(silent)].map((asked) => assert.rejects(asked));
  patient.close();
  await Promise.all(failed);
  await assert.rejects(patient.list(), /closed$/);
  fake.hang(false);
});

test('one that is not there is named, and not taken for a devlxd', async () => {
  const nobody = new Lxd({ name: 'lxd', socketPath: `${fake.socket}.none` }, { 'source-seconds': 1 });
  await assert.rejects(nobody.list(), /^Error: LXD on .*\.none: GET .*: connect ENOENT .*\.none$/);
});
