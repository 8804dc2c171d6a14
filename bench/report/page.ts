import type { Report } from '../compare.js';
import { machineLine, planLine, rowsOf } from '../print.js';
import { chartsOf } from './charts.js';
import { goalsOf } from './goals.js';

const style = `
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em; color: #222 }
  h1, h2, h3 { line-height: 1.2 }
  table { border-collapse: collapse; font-size: 14px; margin: 1em 0 }
  th, td { padding: 3px 10px; border-bottom: 1px solid #ddd; text-align: right; font-variant-numeric: tabular-nums }
  th:first-child, td:first-child, .goals td, .goals th { text-align: left }
  .met { color: #17693a } .missed { color: #a4261d; font-weight: bold }
  figure { margin: 2em 0 } figcaption { color: #555 } svg { max-width: 100%; height: auto }
  .rows { overflow-x: auto }
  .narrow { display: none }
  @media (max-width: 700px) {
    .wide { display: none } .narrow { display: block }
    table { font-size: 12px } th, td { padding: 3px 5px } .goals td:nth-child(n + 3) { white-space: nowrap }
  }
  .note { color: #555; font-size: 14px }`;

/** All of a run as one HTML document that needs nothing else. */
export function pageOf({ machine, plan, trials }: Report): string {
  const figures = chartsOf(trials).map(
    ({ title, text, svg }) =>
      `<figure><h2>${escaped(title)}</h2><figcaption>${escaped(text)}</figcaption>
<div class="wide">${svg.wide}</div><div class="narrow">${svg.narrow}</div></figure>`,
  );
  const all = trials.map(
    (trial) =>
      `<h3>${escaped(trial.name)}</h3><p>${escaped(trial.about)}</p>${table(rowsOf(trial))}${[
        ...trial.notes.map((note) => `<p class="note">Note: ${escaped(note)}.</p>`),
        ...trial.faults.map((fault) => `<p class="missed">FAILED: ${escaped(fault)}</p>`),
      ].join('')}`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>devlxd: benchmark</title><style>${style}</style></head><body>
<h1>devlxd: benchmark</h1>
<p>${escaped(machineLine(machine))}.<br>${escaped(planLine(plan))}.</p>
<h2>Goals</h2>
${goals({ machine, plan, trials })}
${figures.join('\n')}
<h2>All figures</h2>
${all.join('\n')}
</body></html>
`;
}

function goals({ trials }: Report): string {
  const rows = goalsOf(trials).map(({ about, goal, reached, spread, met }) => {
    const verdict = met ? '<td class="met">met</td>' : '<td class="missed">not met</td>';
    return `<tr>${[about, goal, reached, spread].map((text) => `<td>${escaped(text)}</td>`).join('')}${verdict}</tr>`;
  });
  const head = ['what', 'goal', 'reached', 'spread', ''].map((text) => `<th>${text}</th>`).join('');
  return `<div class="rows"><table class="goals"><tr>${head}</tr>${rows.join('')}</table></div>`;
}

function table([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[], tag: string): string =>
    `<tr>${cells.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join('')}</tr>`;
  return `<div class="rows"><table>${line(head, 'th')}${rows.map((row) => line(row, 'td')).join('')}</table></div>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
