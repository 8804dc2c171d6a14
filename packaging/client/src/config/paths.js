import { join } from 'node:path';
/** Where the sockets of a run directory are. */
export function socketPaths(runDir) {
    const guestDir = join(runDir, 'guest');
    return { guestDir, guest: join(guestDir, 'sock'), control: join(runDir, 'control.sock') };
}
//# sourceMappingURL=paths.js.map