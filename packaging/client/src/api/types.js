/** What the host API gives and takes, in LXD's names; docs/host-api.md. */
export {};
//# sourceMappingURL=types.js.map