// The leases that a client was granted and has not seen the end of.

import type { LeaseId } from '../../../src/model/brands.ts';
import type { ClientAction, ClientAnswer } from './client-operation.ts';
import type { Random } from '../../support/random.ts';
import { chosenLeaseIds } from './requests.ts';

const heldMax = 4;

export class LeasesHeld {
  #ids: readonly LeaseId[] = [];

  get newest(): LeaseId | null {
    return this.#ids.at(-1) ?? null;
  }

  /** The id of a lease, mostly of one that the client was granted. */
  some(random: Random): LeaseId {
    return random.chance(0.2) || this.#ids.length === 0 ? random.pick(chosenLeaseIds) : random.pick(this.#ids);
  }

  learned(action: ClientAction, answer: ClientAnswer): void {
    if (answer.kind === 'write' && answer.result.kind === 'applied' && action.kind === 'write') {
      const { outcome } = answer.result;
      if (outcome.kind === 'leaseGrant') this.#ids = [...this.#ids, outcome.id].slice(-heldMax);
      if (action.operation.kind === 'leaseRevoke') this.#forget(action.operation.id);
    }
    if (answer.kind === 'keepAlive' && action.kind === 'keepAlive') {
      const { result } = answer;
      if (result.kind === 'answer' && result.answer.ttlSeconds === null) this.#forget(action.id);
    }
  }

  #forget(id: LeaseId): void {
    this.#ids = this.#ids.filter((one) => one !== id);
  }
}
