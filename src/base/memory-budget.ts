// The memory of one isolate, as far as clients can fill it: answers that are not read yet, bodies, frames that wait,
// events that were not taken. Many objects of many tenants share an isolate, so each tenant and each access key has a
// share. What a tenant may hold is in proportion to what nobody holds: however many tenants hold all that they may,
// some is left for one that holds little. The budget only counts: a holder that gets no more gives up what it holds.

import {
  keptHeadsOfIsolateBytesMax,
  memoryBytesMax,
  memoryCountedBytesMin,
  memoryOfKeyBytesMax,
  memoryOfTenantBytesMax,
} from '../limits.ts';

/**
 * The owner of the memory. `key` is unique within the tenant. `object`: the object that holds it, which may end without
 * giving it back. Empty: the holder gives it back before it ends.
 */
export type MemoryHolder = { readonly tenant: string; readonly key: string; readonly object?: string };

/** The share that is used up. */
export type MemoryShare = 'key' | 'tenant' | 'service';

export type MemoryBounds = {
  readonly bytesMax: number;
  /** Of a tenant that is alone. */
  readonly tenantBytesMax: number;
  readonly keyBytesMax: number;
};

export class MemoryBudget {
  readonly #bounds: MemoryBounds;
  readonly #tenants = new Map<string, number>();
  readonly #keys = new Map<string, number>();
  readonly #ofObjects = new Map<string, Set<Reservation>>();
  #bytes = 0;

  constructor(bounds: MemoryBounds) {
    this.#bounds = bounds;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** A reservation that holds nothing yet. */
  reserve(holder: MemoryHolder): Reservation {
    return new Reservation(this, holder);
  }

  /** The share that does not allow so many more bytes. Null: they may be held. */
  lacking(holder: MemoryHolder, moreBytes: number): MemoryShare | null {
    const { bytesMax, tenantBytesMax, keyBytesMax } = this.#bounds;
    if ((this.#keys.get(keyText(holder)) ?? 0) + moreBytes > keyBytesMax) return 'key';
    const ofTenant = (this.#tenants.get(holder.tenant) ?? 0) + moreBytes;
    if (ofTenant > tenantBytesMax) return 'tenant';
    // A tenant that is alone has what is left in this proportion once it holds tenantBytesMax.
    const left = bytesMax - this.#bytes - moreBytes;
    return left < 0 || ofTenant * (bytesMax - tenantBytesMax) > left * tenantBytesMax ? 'service' : null;
  }

  /** An object begins anew: what its earlier instance held, which crashed or was put to sleep, no longer counts. */
  begins(object: string): void {
    const held = this.#ofObjects.get(object) ?? [];
    for (const reservation of held) reservation.lose();
    this.#ofObjects.delete(object);
  }

  /** A reservation holds more, or less. */
  add(reservation: Reservation, holder: MemoryHolder, bytes: number): void {
    this.#note(reservation, holder.object ?? '', reservation.bytes + bytes);
    addTo(this.#keys, keyText(holder), bytes);
    addTo(this.#tenants, holder.tenant, bytes);
    this.#bytes += bytes;
  }

  #note(reservation: Reservation, object: string, bytes: number): void {
    if (object === '') return;
    const held = this.#ofObjects.get(object) ?? new Set();
    this.#ofObjects.set(object, held);
    if (bytes > 0) held.add(reservation);
    else held.delete(reservation);
    if (held.size === 0) this.#ofObjects.delete(object);
  }
}

/** The bytes that one answer, body, socket or stream holds. */
export class Reservation {
  readonly #budget: MemoryBudget;
  readonly #holder: MemoryHolder;
  #bytes = 0;
  #isLost = false;

  constructor(budget: MemoryBudget, holder: MemoryHolder) {
    this.#budget = budget;
    this.#holder = holder;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Holds so many bytes from now on; a few are not counted. Fewer than before can always be held. If more cannot, it
   * holds what it did before, and returns the share that is used up.
   */
  hold(bytes: number): MemoryShare | null {
    const counted = bytes < memoryCountedBytesMin ? 0 : bytes;
    const more = counted - this.#bytes;
    if (more === 0 || this.#isLost) return null;
    const lacking = more > 0 ? this.#budget.lacking(this.#holder, more) : null;
    if (lacking !== null) return lacking;
    this.#budget.add(this, this.#holder, more);
    this.#bytes = counted;
    return null;
  }

  /** Holds so many bytes, also beyond the bounds: what is there already, and cannot be given up, counts. */
  holdAlways(bytes: number): null {
    if (this.hold(bytes) === null) return null;
    this.#budget.add(this, this.#holder, bytes - this.#bytes);
    this.#bytes = bytes;
    return null;
  }

  /** Whether it could hold so many bytes in all. */
  mayHold(bytes: number): boolean {
    const more = bytes - this.#bytes;
    return more <= 0 || this.#isLost || this.#budget.lacking(this.#holder, more) === null;
  }

  /** The holder has ended, and holds nothing any more. */
  lose(): void {
    this.hold(0);
    this.#isLost = true;
  }

  /** It may be called again. */
  release(): void {
    this.hold(0);
  }
}

/** The budget of everything that runs in this isolate. */
export const isolateMemory = new MemoryBudget({
  bytesMax: memoryBytesMax,
  tenantBytesMax: memoryOfTenantBytesMax,
  keyBytesMax: memoryOfKeyBytesMax,
});

/** What the replicas of this isolate keep of their tables. It is forgotten where it has no room. */
export const keptMemory = new MemoryBudget({
  bytesMax: keptHeadsOfIsolateBytesMax,
  tenantBytesMax: keptHeadsOfIsolateBytesMax,
  keyBytesMax: keptHeadsOfIsolateBytesMax,
});

function keyText({ tenant, key }: MemoryHolder): string {
  return `${tenant} ${key}`;
}

function addTo(counts: Map<string, number>, name: string, bytes: number): void {
  const sum = (counts.get(name) ?? 0) + bytes;
  if (sum === 0) counts.delete(name);
  else counts.set(name, sum);
}
