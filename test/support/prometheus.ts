import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { unpackedFrom } from '../clients/unpacked.js';

/** Debian's Prometheus: the one that is installed, or its package unpacked. An error: why it cannot be had. */
export function prometheusTools(): { readonly prometheus: string; readonly promtool: string } | Error {
  if (spawnSync('promtool', ['--version']).status === 0) return { prometheus: 'prometheus', promtool: 'promtool' };
  const { directory: root, problem } = unpackedFrom('bookworm', 'prometheus', ['prometheus']);
  if (problem !== undefined) return new Error(problem);
  return { prometheus: join(root, 'usr/bin/prometheus'), promtool: join(root, 'usr/bin/promtool') };
}

interface Found {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [time: number, value: string];
}

/** A Prometheus that scrapes one target each second, in a directory of its own. */
export class Prometheus {
  readonly #directory: string;
  readonly #end: () => Promise<unknown>;
  readonly #url: string;

  private constructor(directory: string, end: () => Promise<unknown>, url: string) {
    this.#directory = directory;
    this.#end = end;
    this.#url = url;
  }

  static async start(program: string, port: number, rules: string): Promise<Prometheus> {
    const directory = mkdtempSync(join(tmpdir(), 'devlxd-prometheus-'));
    const config = join(directory, 'prometheus.yml');
    writeFileSync(
      config,
      `global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [${JSON.stringify(rules)}]
scrape_configs:
  - job_name: devlxd
    params: {per: [instance]}
    static_configs: [{targets: ["127.0.0.1:${port}"]}]
`,
    );
    const options = [`--config.file=${config}`, `--storage.tsdb.path=${directory}/data`];
    const child = spawn(program, [...options, '--web.listen-address=127.0.0.1:0', '--log.level=info'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const exit = once(child, 'exit');
    const end = (): Promise<unknown> => {
      child.kill('SIGKILL');
      return exit;
    };
    const address = await new Promise<string>((resolve, reject) => {
      const said: string[] = [];
      let found = '';
      createInterface({ input: child.stderr }).on('line', (line) => {
        said.push(line);
        found = /msg="Listening on" address=(\S+)/.exec(line)?.[1] ?? found;
        if (line.includes('Server is ready')) resolve(found);
      });
      child.on('exit', () => reject(new Error(said.join('\n'))));
    });
    return new Prometheus(directory, end, `http://${address}`);
  }

  /** What an expression gives now. @throws Error, when Prometheus does not understand it */
  async query(expression: string): Promise<readonly Found[]> {
    const answer = await fetch(`${this.#url}/api/v1/query?query=${encodeURIComponent(expression)}`);
    const { status, data, error } = (await answer.json()) as {
      status: string;
      data?: { result: readonly Found[] };
      error?: string;
    };
    if (status !== 'success' || data === undefined) throw new Error(`${expression}: ${error}`);
    return data.result;
  }

  async close(): Promise<void> {
    await this.#end();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
