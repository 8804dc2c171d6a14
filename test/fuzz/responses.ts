const statusLine = /^HTTP\/1\.[01] (\d{3}) [ -~]+\r\n/;
const headerLine = /^[!-9;-~]+: ?[\t -~\x80-\xff]*$/;

/**
 * Are these bytes answers, one behind the other, the last perhaps cut short? What is not is said in a sentence.
 * received: as latin1, so that a character is a byte
 */
export function complaintAbout(received: string): string | undefined {
  let rest: string | undefined = received;
  while (rest) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) return statusLine.test(rest) || rest.length < 30 ? undefined : `no answer: ${excerpt(rest)}`;
    const head = rest.slice(0, end + 2);
    const behind = rest.slice(end + 4);
    const complaint = complaintAboutHead(head, behind);
    if (complaint !== undefined) return complaint;
    rest = behindBody(head, behind);
  }
  return undefined;
}

/** HEAD of an event stream has no length: nothing but the next answer may follow it. */
function complaintAboutHead(head: string, behind: string): string | undefined {
  const [first = ''] = statusLine.exec(head) ?? [];
  if (first === '') return `no status line: ${excerpt(head)}`;
  const headers = head.slice(first.length).split('\r\n').filter(Boolean);
  const wrong = headers.find((line) => !headerLine.test(line));
  if (wrong !== undefined) return `no header: ${excerpt(wrong)}`;
  const ends = isEndless(head) || / (100|304) /.test(first) || /^content-length: \d+\r$/im.test(head);
  const isOfHead = behind === '' || behind.startsWith('HTTP/1.');
  return ends || isOfHead ? undefined : `no length: ${excerpt(head)}`;
}

/** Framed, chunked, or until the connection ends: what follows is the body's. */
function isEndless(head: string): boolean {
  return / 101 /.test(head) || /^(transfer-encoding|connection: close)/im.test(head);
}

/** What comes after the body; undefined: it does not end. After HEAD no body follows, what does is the next answer. */
function behindBody(head: string, rest: string): string | undefined {
  if (isEndless(head)) return undefined;
  const length = Number(/^content-length: (\d+)\r$/im.exec(head)?.[1] ?? 0);
  return rest.startsWith('HTTP/1.') ? rest : rest.slice(length);
}

function excerpt(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
