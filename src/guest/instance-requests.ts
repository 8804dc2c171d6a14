/** Requests by instance, without the ones that the gate has answered since the instance was started. */
export class InstanceRequests {
  readonly #counts = new Map<number, number>();

  add(instanceId: number, requests = 1): void {
    this.#counts.set(instanceId, this.of(instanceId) + requests);
  }

  of(instanceId: number): number {
    return this.#counts.get(instanceId) ?? 0;
  }

  forget(instanceId: number): void {
    this.#counts.delete(instanceId);
  }

  entries(): Iterable<[instanceId: number, requests: number]> {
    return this.#counts.entries();
  }
}
