import type { CountedLimit, LimitHits } from '../limits/limit-hits.js';
import { exceeds, type LimitName, type Limits } from '../limits/limits.js';

/** What takes memory for a guest until the guest goes on. */
export interface MemoryUser {
  readonly instanceId: number;
  /** bytes */
  readonly held: number;
  /** Closes the connections that it is for. */
  cut(): void;
}

interface Names {
  readonly instance: LimitName & CountedLimit & `${string}-instance`;
  readonly total: LimitName & CountedLimit & `${string}-total`;
}

/**
 * Memory that guests' connections take, bounded for each instance and in all. What a client goes on with takes it for a
 * moment; when all together is too much, the oldest is of a client that does not go on, and its connection is closed.
 */
export class MemoryShares {
  readonly #names: Names;
  readonly #limits: Limits;
  readonly #limitHits: LimitHits;
  readonly #byInstance = new Map<number, Set<MemoryUser>>();
  readonly #all = new Set<MemoryUser>();
  readonly #charged = new Map<number, number>();
  #total = 0;

  constructor(names: Names, limits: Limits, limitHits: LimitHits) {
    this.#names = names;
    this.#limits = limits;
    this.#limitHits = limitHits;
  }

  /** bytes */
  get total(): number {
    return this.#total;
  }

  /** bytes of the instance that takes most */
  get mostOfInstance(): number {
    return Math.max(0, ...this.#charged.values());
  }

  /** Nothing is charged yet: `held` is 0. */
  begin(user: MemoryUser): void {
    const users = this.#byInstance.get(user.instanceId) ?? new Set();
    this.#byInstance.set(user.instanceId, users.add(user));
    this.#all.add(user);
  }

  /** Once or more often. */
  end(user: MemoryUser): void {
    if (!this.#all.delete(user)) return;
    const { instanceId, held } = user;
    this.#total -= held;
    const users = this.#byInstance.get(instanceId);
    users?.delete(user);
    if (users?.size === 0) {
      this.#byInstance.delete(instanceId);
      this.#charged.delete(instanceId);
    } else this.#charged.set(instanceId, this.#of(instanceId) - held);
  }

  /** It takes more: `held` grows by that next. */
  charge(user: MemoryUser, bytes: number): void {
    const { instanceId } = user;
    const { instance, total } = this.#names;
    this.#total += bytes;
    this.#charged.set(instanceId, this.#of(instanceId) + bytes);
    while (exceeds(this.#limits[instance], this.#of(instanceId)))
      if (!this.#cutOldest(this.#byInstance.get(instanceId), user, instance)) break;
    while (exceeds(this.#limits[total], this.#total)) if (!this.#cutOldest(this.#all, user, total)) break;
  }

  #of(instanceId: number): number {
    return this.#charged.get(instanceId) ?? 0;
  }

  /** Never the one that grows; false: there is no other. */
  #cutOldest(
    users: Iterable<MemoryUser> | undefined,
    growing: MemoryUser,
    limit: Names['instance' | 'total'],
  ): boolean {
    for (const oldest of users ?? []) {
      if (oldest === growing) continue;
      this.#limitHits.add(limit, oldest.instanceId);
      this.end(oldest);
      oldest.cut();
      return true;
    }
    return false;
  }
}
