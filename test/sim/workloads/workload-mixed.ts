// A little of everything on few keys, so that clients meet: puts, deletes and reads of ranges, guarded writes, leases,
// compactions, and reads of all shapes.

import { unreachable } from '../../../src/base/assert.ts';
import { type LeaseId, noLease } from '../../../src/model/brands.ts';
import { utf8 } from '../../../src/base/bytes.ts';
import {
  type KeyRange,
  type Operation,
  type RangeRequest,
  sortOrder,
  sortTarget,
  type TxnOperation,
} from '../../../src/model/store.ts';
import type { ClientAction, ClientAnswer } from './client-operation.ts';
import { LeasesHeld } from './leases-held.ts';
import type { Random } from '../../support/random.ts';
import { deleteIn, everyKey, grant, putIn, rangeIn, read, single, unchangedSince, write } from './requests.ts';
import type { Workload, WorkloadOptions } from './workload.ts';

const keys = ['a', 'a/b', 'a/c', 'b', 'b\u00ff', 'c'] as const;

/** Each choice comes as often as it stands here. */
const actions = [
  ...(['put', 'put', 'put', 'guarded', 'guarded', 'delete', 'read', 'read', 'shaped', 'other'] as const),
  ...(['grant', 'keepAlive', 'keepAlive', 'keepAlive', 'revoke'] as const),
] as const;
const ttlsSeconds = [1, 2, 3, 5, 8, 15] as const;
const longTtlsSeconds = [10, 15, 25] as const;

export class MixedWorkload implements Workload {
  readonly #random: Random;
  readonly #ttlsSeconds: readonly number[];
  readonly #leases = new LeasesHeld();
  /** The newest revision that was seen, and the revision of each key that was last seen. */
  #revision = 1;
  readonly #modRevisions = new Map<string, number>();

  constructor({ random, longLeases }: WorkloadOptions) {
    this.#random = random;
    this.#ttlsSeconds = longLeases ? longTtlsSeconds : ttlsSeconds;
  }

  next(name: string): ClientAction {
    const random = this.#random;
    const kind = random.pick(actions);
    switch (kind) {
      case 'grant':
        return grant(random, random.pick(this.#ttlsSeconds));
      case 'keepAlive':
        return { kind: 'keepAlive', id: this.#leases.some(random) };
      case 'revoke':
        if (random.chance(0.5)) return write({ kind: 'leaseRevoke', id: this.#leases.some(random) });
        return { kind: 'keepAlive', id: this.#leases.some(random) };
      case 'put':
        return this.plainPut(name, random.chance(0.5) ? noLease : this.#leases.some(random));
      case 'delete':
        return write(deleteIn(someRange(random), random.chance(0.5)));
      case 'guarded':
        return write(this.#guarded(name));
      case 'read':
        return read(random.chance(0.5) ? everyKey : someRange(random), { serializable: random.chance(0.3) });
      case 'shaped':
        return read(random.chance(0.7) ? everyKey : someRange(random), this.#someShape());
      case 'other': {
        const revision = this.#earlier();
        if (random.chance(0.3)) return write({ kind: 'compact', request: { revision } });
        return read(everyKey, { serializable: random.chance(0.5), revision });
      }
      default:
        return unreachable(kind);
    }
  }

  plainPut(name: string, lease: LeaseId): ClientAction {
    return write(putIn(this.#random.pick(keys), name, this.#random, lease));
  }

  learned(action: ClientAction, answer: ClientAnswer): void {
    this.#leases.learned(action, answer);
    if (answer.kind === 'write' && answer.result.kind === 'applied') this.#sawRevision(answer.result.outcome.revision);
    if (answer.kind !== 'read' || action.kind !== 'read') return;
    this.#sawRevision(answer.revision);
    if (answer.result.kind !== 'answer' || action.request.revision !== 0) return;
    for (const pair of answer.result.answer.kvs) {
      this.#modRevisions.set(Buffer.from(pair.key).toString(), pair.modRevision);
    }
  }

  #sawRevision(revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
  }

  #earlier(): number {
    return Math.max(1, this.#revision - this.#random.integer(0, 30));
  }

  #someShape(): Partial<RangeRequest> {
    const random = this.#random;
    const [minimum, maximum] = [this.#earlier(), this.#revision];
    return {
      limit: random.chance(0.6) ? random.integer(1, 4) : 0,
      revision: random.chance(0.3) ? this.#earlier() : 0,
      serializable: random.chance(0.3),
      sortOrder: random.pick([sortOrder.none, sortOrder.none, sortOrder.ascend, sortOrder.descend]),
      sortTarget: random.pick([sortTarget.key, sortTarget.key, sortTarget.mod, sortTarget.create, sortTarget.version]),
      keysOnly: random.chance(0.2),
      countOnly: random.chance(0.1),
      minModRevision: random.chance(0.2) ? minimum : 0,
      maxModRevision: random.chance(0.1) ? maximum : 0,
      minCreateRevision: random.chance(0.1) ? minimum : 0,
      maxCreateRevision: random.chance(0.1) ? maximum : 0,
    };
  }

  /** Puts the key if nobody has written it since it was last seen, and otherwise reads it. */
  #guarded(name: string): Operation {
    const random = this.#random;
    const key = random.pick(keys);
    const other = random.pick(keys.filter((one) => one !== key));
    const compare = unchangedSince(key, this.#modRevisions.get(key) ?? 0);
    const lease = random.chance(0.7) ? noLease : this.#leases.some(random);
    const success: TxnOperation[] = [putIn(key, name, random, lease)];
    if (random.chance(0.3)) success.push(deleteIn(single(other), true));
    if (random.chance(0.3)) success.push(rangeIn(everyKey));
    const failure: TxnOperation[] = random.chance(0.7) ? [rangeIn(everyKey)] : [];
    return { kind: 'txn', request: { compare: [compare], success, failure } };
  }
}

/** The range is not empty. */
function someRange(random: Random): KeyRange {
  if (random.chance(0.6)) return single(random.pick(keys));
  const [key, end] = [random.pick(keys), random.pick(keys)];
  if (random.chance(0.3)) return { key: utf8(key), rangeEnd: Uint8Array.of(0) };
  return key < end ? { key: utf8(key), rangeEnd: utf8(end) } : single(key);
}
