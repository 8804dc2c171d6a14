import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Store } from '../store/store.js';
import type { ControlHandler } from './control-reply.js';

const sqliteType = 'application/vnd.sqlite3';

/** GET /1.0/backup: the store as it is, as one file, while everything goes on. */
export function backup(store: Store, stateDir: string): ControlHandler {
  let count = 0;
  return async () => {
    const path = join(stateDir, `devlxd.db.copy-${process.pid}-${++count}`);
    try {
      await store.copyTo(path);
      const file = await open(path);
      const { size } = await file.stat();
      return { kind: 'stream', type: sqliteType, length: size, stream: file.createReadStream() };
    } finally {
      await rm(path, { force: true }); // what is open can be read all the same
    }
  };
}
