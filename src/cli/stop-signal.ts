/** Signals that come within this time of the first are echoes of it: a terminal and npm both send one. */
const echoMilliseconds = 1000;

/** The first signal that asks the daemon to stop. One that comes later, while it is stopping, ends it at once. */
export function stopSignal(signals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM']): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let first: number | undefined;
    const stop = (signal: NodeJS.Signals): void => {
      first ??= Date.now();
      if (Date.now() - first > echoMilliseconds) process.exit(1);
      resolve(signal);
    };
    for (const signal of signals) process.on(signal, stop);
  });
}
