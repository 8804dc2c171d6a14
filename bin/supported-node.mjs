// Which Node devlxd runs on. No dependency: set-up and bin/devlxd ask before there is, or can be loaded, any.

/** By its ABI: uWebSockets.js has a binary for each, and all the tests are run with it. */
const releases = {
  115: { oldest: '20.17', glibc: '2.34' },
  127: { oldest: '22.16', glibc: '2.38' },
  137: { oldest: '24.0', glibc: '2.38' },
};

const works = 'use Node 20 (20.17 or newer), 22 (22.16 or newer) or 24';

/** Why devlxd cannot run here, in one sentence, or undefined. */
export function unsupported(node = process, glibc = glibcOf(node)) {
  if (node.platform !== 'linux') return 'devlxd needs Linux: it asks the kernel for pid namespaces.';
  const { node: version, modules } = node.versions;
  const release = releases[modules];
  if (release === undefined)
    return `devlxd does not run on Node ${version}, for which uWebSockets.js has no tested binary: ${works}.`;
  if (older(version, release.oldest)) return `Node ${version} is too old: ${works}.`;
  if (!['x64', 'arm64'].includes(node.arch))
    return `devlxd has no uWebSockets.js for ${node.arch}, only for x64 and arm64.`;
  if (glibc === undefined) return 'devlxd needs glibc: uWebSockets.js has no binary for other C libraries.';
  if (older(glibc, release.glibc))
    return `With Node ${version.split('.')[0]}, uWebSockets.js needs glibc ${release.glibc} (Debian 13), and this system has ${glibc}: use Node 20 (20.17 or newer) here.`;
  return undefined;
}

/** The binaries of uWebSockets.js that are used on this machine, by any of these releases. */
export function binariesOf(arch = process.arch) {
  return Object.keys(releases).map((abi) => `uws_linux_${arch}_${abi}.node`);
}

function glibcOf(node) {
  node.report.excludeNetwork = true; // which takes time, and is not looked at
  return node.report.getReport().header.glibcVersionRuntime;
}

function older(version, least) {
  const [major, minor] = version.split('.').map(Number);
  const [leastMajor, leastMinor] = least.split('.').map(Number);
  return major < leastMajor || (major === leastMajor && minor < leastMinor);
}
