import { join } from 'node:path';
import { devlxd } from './daemon.js';
import { type Image, importImage, makeImage } from './image.js';
import { peer } from './peers.js';
import { askAll, loadFaults } from './requests.js';
import { type Bench, loadShare, type Sample, type Server, serverShare, type Trial } from './trial.js';
import { tools, type Workplace } from './workplace.js';

interface ExportQueue {
  readonly readers: number;
  readonly megabytes: number;
  /** how many there are in a round */
  readonly downloads: number;
}

/** Guests download an image; against cat of the same file into an accepted Unix socket. */
export function exports({ readers, megabytes, downloads }: ExportQueue): Trial {
  const image = once(megabytes);
  return {
    name: `export-${readers}`,
    about: `export of an image of ${megabytes} MB, ${readers} at a time`,
    unit: 'MB/s',
    sides: [
      devlxd({
        options: ['--limit-image-exports', String(readers)],
        config: { 'security.devlxd.images': 'true' },
        prepare: (client, { workplace }) => importImage(client, image(workplace)),
      }),
      peer('cat', (socket, { workplace }) => [join(tools, 'bench_cat'), socket, image(workplace).file]),
    ],
    reference: 'cat',
    goal: { of: 'ratio', atLeast: 0.8 },
    columns: ['p50 ms', 'max ms', serverShare, loadShare],
    measure: (bench, server) => download(bench, server, image(bench.workplace), readers, downloads),
  };
}

async function download(
  bench: Bench,
  server: Server,
  image: Image,
  readers: number,
  downloads: number,
): Promise<Sample> {
  const path = `/1.0/images/${image.fingerprint}/export`;
  const words = [
    '--path',
    path,
    '--mode',
    'connect',
    '--connections',
    String(readers),
    '--warmup',
    '0',
    '--seconds',
    '60',
  ];
  // Once with each byte looked at, which is also the warm-up; then as fast as it goes.
  const checked = await askAll(bench, server, [...words, '--requests', '1', '--expect-body-file', image.file]);
  const report = await askAll(bench, server, [...words, '--requests', String(downloads)]);
  const { latencyMicroseconds: latency } = report;
  return {
    value: (report.requests * image.size) / 2 ** 20 / report.seconds,
    also: {
      'p50 ms': latency.p50 / 1000,
      'max ms': latency.max / 1000,
      [serverShare]: report.serverBusy * 100,
      [loadShare]: report.busy * 100,
    },
    faults: [...loadFaults(checked), ...loadFaults(report), ...shortfall(report.answerBytes, image.size)],
  };
}

function shortfall(answerBytes: number, size: number): string[] {
  return answerBytes < size ? [`an answer had ${answerBytes} bytes for an image of ${size}`] : [];
}

/** One file for all sides and rounds of a run. */
function once(megabytes: number): (workplace: Workplace) => Image {
  let made: Image | undefined;
  return (workplace) => {
    made ??= makeImage(workplace, megabytes);
    return made;
  };
}
