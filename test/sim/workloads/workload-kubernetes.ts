// What controllers ask of an API server, and the API server of the store: objects are created if they do not exist,
// changed and deleted if they are as they were last seen, and listed in pages of one revision. Events have leases, and
// one client compacts now and then.

import { unreachable } from '../../../src/base/assert.ts';
import { type LeaseId, noLease } from '../../../src/model/brands.ts';
import { concatBytes } from '../../../src/base/bytes.ts';
import type { KeyRange, KeyValue, TxnOperation } from '../../../src/model/store.ts';
import type { ClientAction, ClientAnswer } from './client-operation.ts';
import { LeasesHeld } from './leases-held.ts';
import type { Random } from '../../support/random.ts';
import { deleteIn, grant, putIn, rangeIn, read, single, unchangedSince, withPrefix, write } from './requests.ts';
import type { Workload, WorkloadOptions } from './workload.ts';

/** Each choice comes as often as it stands here. */
const actions = [
  ...(['create', 'create', 'create', 'update', 'update', 'update', 'update', 'delete', 'delete'] as const),
  ...(['list', 'list', 'get', 'event', 'grant', 'keepAlive', 'keepAlive'] as const),
] as const;
export const kubernetesPrefixes = ['/registry/', '/registry/pods/', '/registry/nodes/', '/registry/events/'] as const;
const objectsOfKind = 5;
const ttlsSeconds = [2, 5, 15] as const;

/** A list under way. `revision` 0: the first page will tell it. */
export type Listing = { readonly range: KeyRange; readonly revision: number };

/** The rest of a list after this page. Null: the list is whole, or its revision was compacted. */
export function listingAfter(
  { request }: Extract<ClientAction, { kind: 'read' }>,
  { result, revision }: Extract<ClientAnswer, { kind: 'read' }>,
): Listing | null {
  if (result.kind !== 'answer') return null;
  const { kvs, more } = result.answer;
  const last = kvs.at(-1);
  if (!more || last === undefined) return null;
  return {
    range: { key: concatBytes(last.key, Uint8Array.of(0)), rangeEnd: request.rangeEnd },
    revision: request.revision === 0 ? revision : request.revision,
  };
}

export class KubernetesWorkload implements Workload {
  readonly #random: Random;
  readonly #compacts: boolean;
  readonly #leases = new LeasesHeld();
  /** The revision at which each object was last seen, by key. */
  readonly #seen = new Map<string, number>();
  #revision = 1;
  #listing: Listing | null = null;

  constructor({ number, random }: WorkloadOptions) {
    this.#random = random;
    this.#compacts = number === 2;
  }

  next(name: string): ClientAction {
    const random = this.#random;
    if (this.#listing !== null) return this.#page(this.#listing);
    if (this.#compacts && random.chance(0.1)) {
      return write({ kind: 'compact', request: { revision: Math.max(1, this.#revision - random.integer(0, 15)) } });
    }
    const key = someObject(random);
    const kind = random.pick(actions);
    switch (kind) {
      case 'create':
        return guarded(key, 0, putIn(key, name, random));
      case 'update':
        return guarded(key, this.#seen.get(key) ?? 0, putIn(key, name, random));
      case 'delete':
        return guarded(key, this.#seen.get(key) ?? 0, deleteIn(single(key), true));
      case 'list':
        return this.#page({ range: withPrefix(random.pick(kubernetesPrefixes)), revision: 0 });
      case 'get':
        return read(single(key), { serializable: random.chance(0.3) });
      case 'event': {
        const event = `/registry/events/${random.integer(1, objectsOfKind)}`;
        return write(putIn(event, name, random, this.#leases.newest ?? noLease));
      }
      case 'grant':
        return grant(random, random.pick(ttlsSeconds));
      case 'keepAlive':
        return { kind: 'keepAlive', id: this.#leases.some(random) };
      default:
        return unreachable(kind);
    }
  }

  plainPut(name: string, lease: LeaseId): ClientAction {
    return write(putIn(someObject(this.#random), name, this.#random, lease));
  }

  learned(action: ClientAction, answer: ClientAnswer): void {
    this.#leases.learned(action, answer);
    if (action.kind === 'read' && answer.kind === 'read') {
      this.#sawRevision(answer.revision);
      if (answer.result.kind === 'answer') this.#sees(action.request, answer.result.answer.kvs);
      this.#listing = listingAfter(action, answer);
    }
    if (action.kind !== 'write' || answer.kind !== 'write' || answer.result.kind !== 'applied') return;
    const { outcome } = answer.result;
    this.#sawRevision(outcome.revision);
    if (action.operation.kind !== 'txn' || outcome.kind !== 'txn') return;
    const key = action.operation.request.compare[0]?.key;
    const [part] = outcome.answer.parts;
    if (key === undefined || part === undefined) return;
    if (part.kind === 'put') this.#seen.set(textOf(key), outcome.revision);
    else this.#sees(single(textOf(key)), part.kind === 'range' ? part.answer.kvs : []);
  }

  #page({ range, revision }: Listing): ClientAction {
    return read(range, { limit: this.#random.integer(1, 4), revision, serializable: this.#random.chance(0.2) });
  }

  #sees(range: KeyRange, kvs: Iterable<KeyValue>): void {
    if (range.rangeEnd.byteLength === 0) this.#seen.delete(textOf(range.key));
    for (const { key, modRevision } of kvs) this.#seen.set(textOf(key), modRevision);
  }

  #sawRevision(revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
  }
}

/** The write is done if the object is as it was seen; otherwise the object is read. */
function guarded(key: string, modRevision: number, change: TxnOperation): ClientAction {
  const compare = [unchangedSince(key, modRevision)];
  return write({ kind: 'txn', request: { compare, success: [change], failure: [rangeIn(single(key))] } });
}

function someObject(random: Random): string {
  return `/registry/${random.pick(['pods', 'pods', 'nodes'])}/${random.integer(1, objectsOfKind)}`;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}
