// Batch jobs: many keys that live shortly, written by transactions of many operations under leases that are revoked or
// run out, and deleted by prefix; and compactions, so that little is kept of them.

import { unreachable } from '../../../src/base/assert.ts';
import { type LeaseId, noLease } from '../../../src/model/brands.ts';
import type { TxnOperation } from '../../../src/model/store.ts';
import type { ClientAction, ClientAnswer } from './client-operation.ts';
import { LeasesHeld } from './leases-held.ts';
import type { Random } from '../../support/random.ts';
import { deleteIn, grant, putIn, rangeIn, read, single, unchangedSince, withPrefix, write } from './requests.ts';
import type { Workload, WorkloadOptions } from './workload.ts';

/** Each choice comes as often as it stands here. */
const actions = [
  ...(['submit', 'submit', 'submit', 'finish', 'finish', 'finish', 'sweep', 'list', 'grant', 'grant'] as const),
  ...(['keepAlive', 'revoke', 'compact'] as const),
] as const;
const ttlsSeconds = [1, 1, 2, 5] as const;
const tasksMax = 16;

export class BatchWorkload implements Workload {
  readonly #random: Random;
  readonly #number: number;
  readonly #leases = new LeasesHeld();
  #jobs = 0;
  #revision = 1;

  constructor({ number, random }: WorkloadOptions) {
    this.#number = number;
    this.#random = random;
  }

  next(name: string): ClientAction {
    const random = this.#random;
    const kind = random.pick(actions);
    switch (kind) {
      case 'submit':
        return this.#submit(name);
      case 'finish':
        return write(deleteIn(single(this.#someTask()), random.chance(0.5)));
      case 'sweep':
        return write(deleteIn(withPrefix(random.chance(0.3) ? 'job/' : this.#someJob()), random.chance(0.3)));
      case 'list':
        return read(withPrefix('job/'), { limit: random.integer(1, 30), serializable: random.chance(0.3) });
      case 'grant':
        return grant(random, random.pick(ttlsSeconds));
      case 'keepAlive':
        return { kind: 'keepAlive', id: this.#leases.some(random) };
      case 'revoke':
        return write({ kind: 'leaseRevoke', id: this.#leases.some(random) });
      case 'compact':
        return write({ kind: 'compact', request: { revision: Math.max(1, this.#revision - random.integer(0, 5)) } });
      default:
        return unreachable(kind);
    }
  }

  plainPut(name: string, lease: LeaseId): ClientAction {
    return write(putIn(this.#someTask(), name, this.#random, lease));
  }

  learned(action: ClientAction, answer: ClientAnswer): void {
    this.#leases.learned(action, answer);
    if (answer.kind !== 'write' || answer.result.kind !== 'applied') return;
    this.#revision = Math.max(this.#revision, answer.result.outcome.revision);
  }

  /**
   * A job and its tasks, if the job is new. Now and then the tasks of the job before are deleted in the same revision.
   */
  #submit(name: string): ClientAction {
    const random = this.#random;
    const job = `job/${this.#number}/${++this.#jobs}`;
    const lease = random.chance(0.3) ? noLease : (this.#leases.newest ?? noLease);
    const success: TxnOperation[] = [putIn(job, name, random)];
    for (let task = random.integer(1, tasksMax); task > 0; task--) {
      success.push(putIn(`${job}/${task}`, name, random, lease));
    }
    if (random.chance(0.4)) success.push(deleteIn(withPrefix(`job/${this.#number}/${this.#jobs - 1}/`), true));
    if (random.chance(0.3)) success.push(rangeIn(withPrefix(`job/${this.#number}/`)));
    return write({ kind: 'txn', request: { compare: [unchangedSince(job, 0)], success, failure: [] } });
  }

  #someJob(): string {
    return `job/${this.#number}/${Math.max(1, this.#jobs - this.#random.integer(0, 3))}`;
  }

  #someTask(): string {
    return `${this.#someJob()}/${this.#random.integer(1, tasksMax)}`;
  }
}
