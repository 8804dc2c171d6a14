import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import type { EtcdTls } from '../config/fleet-setting.js';

// What TLS needs, and what is wrong with it: each sentence names the option that mends it.

type Option = keyof EtcdTls;

/** @throws Error, when a file cannot be read, or is not what its option says */
export function credentialsOf(tls: EtcdTls | undefined): grpc.ChannelCredentials {
  if (tls === undefined) return grpc.credentials.createInsecure();
  const [ca, cert, key] = [bytesOf(tls, 'ca'), bytesOf(tls, 'cert'), bytesOf(tls, 'key')];
  if (ca !== null) understood(tls, 'ca', () => new X509Certificate(ca));
  if (cert !== null && key !== null) {
    const certificate = understood(tls, 'cert', () => new X509Certificate(cert));
    const own = understood(tls, 'key', () => createPrivateKey(key));
    if (!certificate.checkPrivateKey(own)) throw new Error(`--etcd-key: ${tls.key} is not the key of --etcd-cert`);
  }
  return grpc.credentials.createSsl(ca, key, cert);
}

function bytesOf(tls: EtcdTls, option: Option): Buffer | null {
  const path = tls[option];
  if (path === '') return null;
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(`--etcd-${option}: ${(error as Error).message}`, { cause: error });
  }
}

function understood<Result>(tls: EtcdTls, option: Option, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    const wanted = option === 'key' ? 'a private key without a password' : 'certificates';
    throw new Error(`--etcd-${option}: ${tls[option]} does not have ${wanted} in PEM`, { cause: error });
  }
}

/** By what gRPC says: what may be mended. */
const hints: readonly (readonly [RegExp, string])[] = [
  [/alert certificate required|alert bad certificate|alert handshake failure/, 'it asks for --etcd-cert'],
  [/alert certificate expired/, '--etcd-cert has expired'],
  [/alert (?:unknown ca|certificate unknown)/, 'its authority has not signed --etcd-cert'],
  [/unable to verify|unable to get (?:local )?issuer|self-signed/, '--etcd-ca does not have its authority'],
  [/does not match certificate/, 'its certificate is not for the address in --etcd-endpoints'],
  [/before secure TLS connection|wrong version number|packet length too long/, 'it may speak no TLS'],
];

/** A sentence of one line that says why a member cannot be reached, and which option may mend it. */
export function reasonOf(said: string, tls: EtcdTls | undefined, now = Date.now()): string {
  const last = /Last error: (?:Error: )?(.*?)(?: \([-\dT:.]+Z\))?\.? Resolution note:/s.exec(said)?.[1] ?? said;
  const hint = hints.find(([pattern]) => pattern.test(last))?.[1];
  const closed = tls === undefined && /Failed to connect|Connection dropped/.test(last);
  const all = [last.trim(), hint, closed ? 'it may want TLS: --etcd-ca' : undefined, expiredIn(tls, now)];
  return all.filter((part) => part !== undefined).join('; ');
}

/** Clocks differ: only said of what fails anyhow. */
function expiredIn(tls: EtcdTls | undefined, now: number): string | undefined {
  if (tls === undefined || tls.cert === '') return undefined;
  try {
    const { validFrom, validTo } = new X509Certificate(readFileSync(tls.cert));
    if (Date.parse(validTo) < now) return `the certificate of --etcd-cert was valid until ${validTo}`;
    if (Date.parse(validFrom) > now) return `the certificate of --etcd-cert is valid from ${validFrom}`;
  } catch {
    // It has been read before, and is being replaced.
  }
  return undefined;
}
