// A devlxd for tests: each call of a handler becomes a line on standard error, which is the log.
import { endpoints } from '../../src/guest/guest-endpoints.js';

for (const { path, methods } of endpoints) {
  for (const [method, handler] of Object.entries(methods)) {
    Object.assign(methods, {
      [method]: (...given: Parameters<typeof handler>) => {
        process.stderr.write(`${JSON.stringify({ msg: 'handler', path, parameter: given[0].parameter })}\n`);
        return handler(...given);
      },
    });
  }
}

await import('../../src/cli/main.js');
