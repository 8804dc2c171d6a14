/** Packages that are loaded from node_modules as they are: two with binaries, and one that few hosts need. */
export const unbundled = ['better-sqlite3', 'uWebSockets.js', 'yaml'];
