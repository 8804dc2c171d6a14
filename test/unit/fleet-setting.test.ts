import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EtcdTexts, etcdSettingOf, hostNameOf } from '../../src/config/fleet-setting.js';

const good: EtcdTexts = { endpoints: '127.0.0.1:2379', prefix: '/devlxd/', ca: '', cert: '', key: '' };

function said(given: Partial<EtcdTexts>): string {
  try {
    etcdSettingOf({ ...good, ...given }, (option, sentence) => new Error(`${option} ${sentence}`));
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

test('an endpoint is a host and a port; a prefix is a path; a certificate has its key', () => {
  for (const endpoints of ['a:1', 'a:65535,b.example.org:2379', 'https://a:2379/', '[::1]:2379', ' a:1 , b:2 '])
    assert.equal(said({ endpoints }), '', endpoints);
  for (const endpoints of ['', 'a', 'a:', ':1', 'a:0', 'a:65536', 'a:1,', 'a:1:2', 'http://a:1/x', 'a b:1', '::1:2379'])
    assert.match(said({ endpoints }), /^endpoints takes HOST:PORT/, endpoints);
  for (const prefix of ['/a', '/a/', '/a/b/']) assert.equal(said({ prefix }), '', prefix);
  for (const prefix of ['', '/', '//', 'a/', '/a//', '/a b/']) assert.match(said({ prefix }), /^prefix takes/, prefix);
  assert.match(said({ cert: 'x' }), /^key is missing/);
  assert.match(said({ key: 'x' }), /^cert is missing/);
});

test('TLS is asked for by a file, or by https', () => {
  const tls = (given: Partial<EtcdTexts>) => etcdSettingOf({ ...good, ...given }, (_, text) => new Error(text)).tls;
  assert.equal(tls({}), undefined);
  assert.deepEqual(tls({ ca: 'x' }), { ca: 'x', cert: '', key: '' });
  assert.deepEqual(tls({ endpoints: 'a:1,https://b:1' }), { ca: '', cert: '', key: '' });
});

test('the name of a host can be part of a key', () => {
  const wrong = (_: string, sentence: string) => new Error(sentence);
  for (const name of ['a', 'host1.example.org', 'A_b-c']) assert.equal(hostNameOf(name, wrong), name);
  for (const name of ['', '.', '..', '-a', 'a/b', 'a b', 'a\n', '\u00e9', 'x'.repeat(254)])
    assert.throws(() => hostNameOf(name, wrong), /takes letters/, name);
});
