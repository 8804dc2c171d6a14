// Imported into a daemon by a test: it has so few descriptors from the start, and cannot raise that.
import { execFileSync } from 'node:child_process';

export const fewDescriptors = 256;
execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${fewDescriptors}:${fewDescriptors}`]);
