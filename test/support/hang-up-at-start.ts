// Imported into a daemon by a test: it gets SIGHUP as soon as it listens to that.
process.on('newListener', (name) => {
  if (name === 'SIGHUP') setImmediate(() => process.kill(process.pid, 'SIGHUP'));
});
