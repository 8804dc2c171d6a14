import { Fault, type FaultCode } from '../errors.js';

/** Codes of gRPC that say what is wrong with what was asked. */
const codes: Readonly<Record<number, FaultCode>> = {
  3: 'invalid-value',
  7: 'forbidden',
  8: 'store-full',
  16: 'forbidden',
};

/** @throws Fault, in the words of etcd */
export function etcdFault(error: unknown): never {
  const { code = -1, details, message } = error as Error & { readonly code?: number; readonly details?: string };
  const known = codes[code];
  const said = details || message;
  if (known !== undefined) throw new Fault(known, `etcd refuses this: ${said}`, error);
  throw new Fault('fleet-away', `etcd does not answer, so this may have been written or not: ${said}`, error);
}
