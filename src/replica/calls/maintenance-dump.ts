// What the bytes of a dump are: everything of a store that a client put there, as it was at one revision.
//
//   "quorate-snapshot" in ASCII, one byte: the version of this layout (1), then records until the end.
//   A record: one byte for its kind, a varint for the length of the rest, the rest. Numbers are varints (seven bits a
//   byte, lowest first), texts and byte strings have their length before them, ids are 64 bits, highest byte first.
//
//   1 head        revision, compacted revision + 1, whether auth is on (1 byte), auth revision
//   2 lease       id, seconds
//   3 role        name, count, then for each permission: type, key, range end
//   4 user        name, whether there is a password (1 byte), its hash, count, then the role names
//   5 alarm       member, alarm
//   6 pair        key, create revision, mod revision, version, lease, value
//   7 end         how many pairs there were
//
// A reader passes over kinds that it does not know. Pairs come in the order of their keys. A lease that a pair names
// and that has no record ended while the dump was written: the pair stands without it.

import { BinaryWriter } from '../../base/binary.ts';
import type { LeaseId, Revision } from '../../model/brands.ts';
import { concatBytes, joinBytes, utf8 } from '../../base/bytes.ts';
import { dumpPageBytes, dumpPagePairsMax, dumpPagePairsMin, dumpStepLeases } from '../../limits.ts';
import type { Alarm, KeyValue, RangeRequest, StoreFailure } from '../../model/store.ts';
import type { AnswerTo, Query, QueryResult } from '../../model/queries.ts';
import type { RangeOutcome } from '../../mvcc/store.ts';
import { queryStore } from './call-steps.ts';
import type { Member } from '../member.ts';

const dumpVersion = 1;
const service = { kind: 'service' } as const;
const magic = utf8('quorate-snapshot');

const kinds = { head: 1, lease: 2, role: 3, user: 4, alarm: 5, pair: 6, end: 7 } as const;

/** The source of the pairs. */
export type PairSource = {
  readonly revision: Revision;
  readonly range: (request: RangeRequest) => Generator<void, RangeOutcome, void>;
};

export type DumpPage =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'failed'; readonly failure: StoreFailure }
  | { readonly kind: 'end' };

/**
 * Everything but the pairs, which is not kept by revision: first leases in steps, between which they come and go; then
 * users and roles, of which there are fewer, at once.
 */
export function* dumpHead(member: Member): Generator<void, Uint8Array, void> {
  // The head, as of the moment at which the pairs begin to be read.
  const { revision, compactedRevision } = member.driver.store;
  const leases: Uint8Array[] = [];
  for (const [nth, id] of (yield* askInSteps(member, { kind: 'leases' })).ids.entries()) {
    if (nth % dumpStepLeases === 0) yield;
    const { lease } = ask(member, { kind: 'timeToLive', id, keys: false });
    if (lease !== null) leases.push(leaseRecord(id, lease.ttlSeconds));
  }
  const auth = ask(member, { kind: 'authStatus' });
  const head = record(kinds.head, (writer) => {
    writer.varint(revision);
    writer.varint(compactedRevision + 1);
    writer.boolean(auth.enabled);
    writer.varint(auth.authRevision);
  });
  const parts = [magic, Uint8Array.of(dumpVersion), head].concat(leases);
  for (const role of ask(member, { kind: 'roleList' }).roles) parts.push(roleRecord(member, role));
  for (const user of ask(member, { kind: 'userList' }).users) parts.push(userRecord(member, user));
  for (const alarm of ask(member, { kind: 'alarms', alarm: 0 }).alarms) parts.push(alarmRecord(alarm));
  return joinBytes(parts);
}

/** The pairs, page by page, from one revision: the same bytes however often it is read. */
export class DumpPairs {
  readonly #source: PairSource;
  #next: Uint8Array | null = Uint8Array.of(0);
  #pairs = 0;
  #pagePairs = dumpPagePairsMin;

  constructor(source: PairSource) {
    this.#source = source;
  }

  *next(): Generator<void, DumpPage, void> {
    if (this.#next === null) return { kind: 'end' };
    const outcome = yield* this.#source.range(pageRequest(this.#next, this.#source.revision, this.#pagePairs));
    if (outcome.kind === 'failed') {
      // The pairs are larger than those before them. A page of the fewest pairs always fits an answer.
      if (outcome.failure.kind !== 'answerTooLarge' || this.#pagePairs === dumpPagePairsMin) return outcome;
      this.#pagePairs = dumpPagePairsMin;
      return yield* this.next();
    }
    const { kvs, more } = outcome.answer;
    const writer = new BinaryWriter(dumpPageBytes);
    for (const kv of kvs) writer.raw(pairRecord(kv));
    this.#pairs += kvs.length;
    const last = kvs.at(-1);
    this.#next = more && last !== undefined ? concatBytes(last.key, Uint8Array.of(0)) : null;
    if (this.#next === null) writer.raw(record(kinds.end, (end) => end.varint(this.#pairs)));
    const bytes = writer.finish();
    this.#pagePairs = pairsOfNextPage(bytes.byteLength, kvs.length);
    return { kind: 'bytes', bytes };
  }
}

function pairsOfNextPage(bytes: number, pairs: number): number {
  const fitting = Math.floor((dumpPageBytes * pairs) / Math.max(1, bytes));
  return Math.min(dumpPagePairsMax, Math.max(dumpPagePairsMin, fitting));
}

function pageRequest(key: Uint8Array, revision: Revision, limit: number): RangeRequest {
  return {
    key,
    rangeEnd: Uint8Array.of(0),
    limit,
    revision,
    sortOrder: 0,
    sortTarget: 0,
    serializable: true,
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  };
}

function leaseRecord(id: LeaseId, ttlSeconds: number): Uint8Array {
  return record(kinds.lease, (writer) => {
    writer.signed64(id);
    writer.varint(ttlSeconds);
  });
}

function roleRecord(member: Member, role: string): Uint8Array {
  const { permissions } = ask(member, { kind: 'roleGet', role });
  return record(kinds.role, (writer) => {
    writer.text(role);
    writer.varint(permissions.length);
    for (const { type, key, rangeEnd } of permissions) {
      writer.float(type);
      writer.bytes(key);
      writer.bytes(rangeEnd);
    }
  });
}

function userRecord(member: Member, name: string): Uint8Array {
  const { roles } = ask(member, { kind: 'userGet', name });
  const credential = queryStore(member, service, { kind: 'credential', name });
  return record(kinds.user, (writer) => {
    writer.text(name);
    writer.boolean(credential.kind === 'answer');
    writer.text(credential.kind === 'answer' ? credential.answer.passwordHash : '');
    writer.varint(roles.length);
    for (const role of roles) writer.text(role);
  });
}

function alarmRecord({ memberId, alarm }: Alarm): Uint8Array {
  return record(kinds.alarm, (writer) => {
    writer.signed64(BigInt.asIntN(64, memberId));
    writer.varint(alarm);
  });
}

function pairRecord({ key, value, createRevision, modRevision, version, lease }: KeyValue): Uint8Array {
  return record(kinds.pair, (writer) => {
    writer.bytes(key);
    writer.varint(createRevision);
    writer.varint(modRevision);
    writer.varint(version);
    writer.signed64(lease);
    writer.bytes(value);
  });
}

function record(kind: number, write: (writer: BinaryWriter) => void): Uint8Array {
  const rest = new BinaryWriter();
  write(rest);
  const whole = new BinaryWriter(rest.length + 16);
  whole.byte(kind);
  whole.bytes(rest.finish());
  return whole.finish();
}

/** The service may ask for everything, and asks only for what it was just told. */
function ask<Kind extends Query['kind']>(member: Member, query: Query & { readonly kind: Kind }): AnswerTo<Kind> {
  return answerOf(queryStore<Kind>(member, service, query));
}

function* askInSteps<Kind extends Query['kind']>(
  member: Member,
  query: Query & { readonly kind: Kind },
): Generator<void, AnswerTo<Kind>, void> {
  return answerOf(yield* member.driver.store.queryInSteps<Kind>(query, service, member.nowMs()));
}

function answerOf<Kind extends Query['kind']>(result: QueryResult<Kind>): AnswerTo<Kind> {
  if (result.kind === 'failed') throw new Error(`a query of the service failed: ${result.failure.kind}`);
  return result.answer;
}
