import type { Bench, Running, Side } from '../../bench/trial.js';

/** kept: a side whose server stays for further trials; end: ends them all, and gives what went wrong in them */
export function keptServers(bench: Bench) {
  const ends: (() => Promise<string[]>)[] = [];
  const started = async <Kind extends Running>(side: Side<Kind>): Promise<Kind> => {
    const server = await side.start(bench);
    ends.push(server.stop.bind(server));
    server.stop = async () => [];
    return server;
  };
  const kept = <Kind extends Running>(side: Side<Kind>): Side<Kind> => {
    let running: Promise<Kind> | undefined;
    return {
      name: side.name,
      start: () => {
        running ??= started(side);
        return running;
      },
    };
  };
  const end = async (): Promise<string[]> => (await Promise.all(ends.map((each) => each()))).flat();
  return { kept, end };
}
