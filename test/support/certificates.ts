import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Made with openssl in a directory: an authority, and what it signs. */
export class Certificates {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
    const authority = ['-x509', '-days', '2', '-keyout', this.key('ca'), '-out', this.certificate('ca')];
    this.#openssl('req', ...this.#newKey, ...authority, '-subj', '/CN=authority');
  }

  certificate(name: string): string {
    return join(this.#directory, `${name}.crt`);
  }

  key(name: string): string {
    return join(this.#directory, `${name}.key`);
  }

  /** Its common name is name; it is good for servers on loopback as well. days: for which it is good; -1: it was until yesterday */
  sign(name: string, days = 2): void {
    const request = join(this.#directory, `${name}.csr`);
    this.#openssl('req', ...this.#newKey, '-keyout', this.key(name), '-out', request, '-subj', `/CN=${name}`);
    this.signRequest(name, days);
  }

  /** NAME.csr of the directory, which somebody else has made. */
  signRequest(name: string, days = 2): void {
    const [request, extensions] = ['csr', 'ext'].map((ending) => join(this.#directory, `${name}.${ending}`)) as [
      string,
      string,
    ];
    writeFileSync(extensions, 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n');
    const by = ['-CA', this.certificate('ca'), '-CAkey', this.key('ca'), '-CAcreateserial', '-days', String(days)];
    this.#openssl('x509', '-req', '-in', request, ...by, '-extfile', extensions, '-out', this.certificate(name));
  }

  readonly #newKey = ['-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

  #openssl(...words: string[]): void {
    const { status, stderr } = spawnSync('openssl', words, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`openssl ${words[0]}: ${stderr}`);
  }
}
