import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Semaphore } from '../../src/concurrency/semaphore.js';
import { extensionOf } from '../../src/images/extension.js';
import { lengthOf, type Piece, sliceOf } from '../../src/images/pieces.js';

const file = Buffer.from('0123456789abcdefghijklmnopqrstuvwxyz');

function textOf(pieces: readonly Piece[]): string {
  return pieces
    .map((piece) => (piece instanceof Uint8Array ? piece : file.subarray(piece.start, piece.end)))
    .map((bytes) => Buffer.from(bytes).toString())
    .join('');
}

const buffers = fc.string({ unit: 'binary-ascii' }).map((text): Piece => Buffer.from(text));
const fromFile = fc
  .tuple(fc.nat(file.length), fc.nat(file.length))
  .map(([a, b]): Piece => ({ file: 0, start: Math.min(a, b), end: Math.max(a, b) }));

test('a slice of pieces is the slice of what they are made of', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(buffers, fromFile)), fc.nat(200), fc.nat(200), (pieces, start, length) => {
      const whole = textOf(pieces);
      assert.equal(lengthOf(pieces), whole.length);
      assert.equal(textOf(sliceOf(pieces, start, start + length)), whole.slice(start, start + length));
    }),
  );
});

test('a file is named by its first bytes', () => {
  const tar = Buffer.alloc(512);
  tar.write('ustar', 257);
  assert.equal(extensionOf(tar), '.tar');
  assert.equal(extensionOf(Buffer.from('1f8b08', 'hex')), '.tar.gz');
  assert.equal(extensionOf(Buffer.from('hsqs....')), '.squashfs');
  assert.equal(extensionOf(Buffer.from('28b52ffd', 'hex')), '.tar.zst');
  assert.equal(extensionOf(Buffer.from('fd', 'hex')), '');
  assert.equal(extensionOf(Buffer.alloc(0)), '');
});

test('turns are taken in order, so many at a time, also when one fails', async () => {
  const turns = new Semaphore(() => 2);
  const began: number[] = [];
  const ends: (() => void)[] = [];
  const work = (index: number) => () => {
    began.push(index);
    return new Promise<void>((resolve, reject) => {
      ends[index] = index === 0 ? () => reject(new Error('fails')) : resolve;
    });
  };
  const taken = [0, 1, 2, 3].map((index) => turns.take(work(index)));
  assert.deepEqual(began, [0, 1]);
  ends[0]?.();
  await assert.rejects(taken[0] as Promise<void>, /fails/);
  assert.deepEqual(began, [0, 1, 2]);
  ends[1]?.();
  await taken[1];
  ends[2]?.();
  ends[3]?.();
  assert.equal(turns.idle, false);
  await Promise.all(taken.slice(1));
  assert.equal(turns.idle, true);
});

test('when more turns are given out, those who wait have them at once', async () => {
  let most = 1;
  const turns = new Semaphore(() => most);
  const began: number[] = [];
  const ends: (() => void)[] = [];
  const taken = [0, 1, 2, 3].map((index) =>
    turns.take(() => {
      began.push(index);
      return new Promise<void>((resolve) => (ends[index] = resolve));
    }),
  );
  assert.deepEqual(began, [0]);
  most = 3;
  turns.admit();
  await new Promise(setImmediate);
  assert.deepEqual(began, [0, 1, 2]);
  most = 1;
  ends[0]?.();
  ends[1]?.();
  await Promise.all(taken.slice(0, 2));
  assert.deepEqual(began, [0, 1, 2]);
  ends[2]?.();
  await taken[2];
  ends[3]?.();
  await Promise.all(taken);
  assert.deepEqual([began, turns.idle], [[0, 1, 2, 3], true]);
});
