interface Magic {
  readonly offset: number;
  readonly bytes: string;
  readonly extension: string;
}

// The formats that LXD knows (shared/archive.go), each by the signature that its own specification gives.
const magics: readonly Magic[] = [
  { offset: 0, bytes: '1f8b', extension: '.tar.gz' },
  { offset: 0, bytes: '425a68', extension: '.tar.bz2' },
  { offset: 0, bytes: 'fd377a585a00', extension: '.tar.xz' },
  { offset: 0, bytes: '5d0000', extension: '.tar.lzma' },
  { offset: 0, bytes: '28b52ffd', extension: '.tar.zst' },
  { offset: 0, bytes: '68737173', extension: '.squashfs' },
  { offset: 0, bytes: '514649fb', extension: '.qcow2' },
  { offset: 257, bytes: '7573746172', extension: '.tar' },
];

/** Bytes from the start of a file that say what it is. */
export const signatureLength = 262;

/** What a file that begins so is called; '' when that is not known. */
export function extensionOf(start: Buffer): string {
  const found = magics.find(({ offset, bytes }) => {
    const end = offset + bytes.length / 2;
    return start.length >= end && start.toString('hex', offset, end) === bytes;
  });
  return found?.extension ?? '';
}
