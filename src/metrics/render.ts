import type { Turn } from '../concurrency/turn.js';
import type { Continued, Labels, MetricDeclarations, MetricSamples } from './declaration.js';

/** Gives the samples of a metric with what was counted before this daemon. */
type GoOn = (metric: string, declaration: Continued, samples: MetricSamples) => MetricSamples;

/** Characters of one piece. */
const pieceLength = 64 * 1024;

export const contentType = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * Prometheus's text format (version 0.0.4), rendered into pieces; between two samples others may have their turn of the
 * event loop. A metric without a sample is left out: no value is not 0.
 */
export async function render<Parts>(
  declarations: MetricDeclarations<Parts>,
  parts: Parts,
  turn: Pick<Turn, 'end'>,
  goOn: GoOn = (_metric, _declaration, samples) => samples,
): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  let text = '';
  for (const [name, declaration] of Object.entries(declarations)) {
    const { kind, help, read } = declaration;
    let head = `# HELP ${name} ${escaped(help, /[\\\n]/g)}\n# TYPE ${name} ${kind}\n`;
    for (const sample of goOn(name, declaration, read(parts))) {
      if (sample !== undefined) {
        const [value, labels, suffix = ''] = sample;
        text += `${head}${name}${suffix}${labelsText(labels)} ${numberText(value)}\n`;
        head = '';
      }
      if (text.length >= pieceLength) {
        pieces.push(Buffer.from(text));
        text = '';
      }
      const others = turn.end();
      if (others !== undefined) await others;
    }
  }
  return [...pieces, Buffer.from(text)];
}

function labelsText(labels: Labels | undefined): string {
  let text = '';
  for (const name in labels) text += `${text === '' ? '{' : ','}${name}="${escaped(labels[name] ?? '', /[\\"\n]/g)}"`;
  return text === '' ? '' : `${text}}`;
}

function numberText(value: number): string {
  if (Number.isFinite(value) || Number.isNaN(value)) return String(value);
  return value > 0 ? '+Inf' : '-Inf';
}

function escaped(text: string, special: RegExp): string {
  return text.replace(special, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}
