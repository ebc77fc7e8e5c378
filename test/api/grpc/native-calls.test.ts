import { Buffer } from 'node:buffer';
import { create, type DescField, type DescMessage, ScalarType, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import type { Answer } from '../../../src/api/answer.ts';
import type { ApiCall } from '../../../src/api/contract.ts';
import { grpcMethod } from '../../../src/api/grpc/methods.ts';
import { nativeParser } from '../../../src/api/grpc/native-calls.ts';
import { jsonOfMessage, messageOfJson, methodAt } from '../../../src/api/grpc/schema.ts';
import { statusOfAnswer } from '../../../src/api/grpc/status.ts';
import { endpointOf, etcdPath } from '../../../src/api/routes.ts';
import { framed, respond } from '../../../src/api/store-call.ts';
import { respondWait, waitOf } from '../../../src/api/wait-call.ts';
import { writeBytesMax } from '../../../src/limits.ts';
import { leaseId, revision } from '../../../src/model/brands.ts';
import type { CallOutcome } from '../../../src/model/calls.ts';
import type { KeyValue } from '../../../src/model/store.ts';
import type { WaitOutcome } from '../../../src/model/waits.ts';
import { Random } from '../../support/random.ts';

const kv = '/etcdserverpb.KV/';
const lease = '/etcdserverpb.Lease/';
const lock = '/v3lockpb.Lock/';
const election = '/v3electionpb.Election/';
const native = [
  `${kv}Range`,
  `${kv}Put`,
  `${kv}DeleteRange`,
  `${kv}Txn`,
  `${kv}Compact`,
  `${lease}LeaseGrant`,
  `${lease}LeaseRevoke`,
  `${lease}LeaseTimeToLive`,
  `${lease}LeaseLeases`,
  `${lock}Lock`,
  `${lock}Unlock`,
  `${election}Campaign`,
  `${election}Proclaim`,
  `${election}Leader`,
  `${election}Resign`,
];

function typesAt(path: string): { readonly input: DescMessage; readonly output: DescMessage } {
  const method = methodAt(path);
  if (method === null) throw new Error(`there is no ${path}`);
  return method;
}

function parsedNative(path: string, message: Uint8Array): ApiCall | null {
  const parse = nativeParser(path);
  if (parse === null) throw new Error(`${path} is not native`);
  return parse(message);
}

/** The same call of v3. */
function parsedJson(path: string, message: Uint8Array): ApiCall {
  const method = grpcMethod(path);
  const json = jsonOfMessage(typesAt(path).input, message);
  if (method.kind !== 'etcd' || json === null) throw new Error(`${path} is no call of v3`);
  const request = { method: 'POST', path: etcdPath(method.call), query: '', headers: new Headers() };
  return endpointOf(request).parse({ ...request, body: Buffer.from(json) });
}

function askedOf(call: ApiCall | null): unknown {
  if (call?.kind === 'refused') return { refused: call.response.status };
  if (call?.kind === 'sessionWrite') return { inNewSession: call.operation(leaseId(7n)) };
  return call === null ? null : (framed(call)?.asked ?? waitOf(call)?.wait);
}

// Random messages, by their descriptors

const integers = [0n, 1n, -1n, 7n, 2n ** 31n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)];

function randomMessage(message: DescMessage, random: Random, level = 0): Record<string, unknown> {
  const init: Record<string, unknown> = {};
  for (const field of message.fields) {
    if (field.oneof === undefined && random.chance(0.6)) init[field.localName] = randomField(field, random, level);
  }
  for (const { fields, localName } of message.oneofs) {
    const chosen = fields[random.below(fields.length)];
    if (chosen === undefined || random.chance(0.2)) continue;
    init[localName] = { case: chosen.localName, value: randomField(chosen, random, level) };
  }
  return init;
}

function randomField(field: DescField, random: Random, level: number): unknown {
  if (field.fieldKind === 'enum') return random.below(7);
  if (field.fieldKind === 'message') return randomMessage(field.message, random, level + 1);
  if (field.fieldKind === 'list' && field.listKind === 'message') {
    const count = level > 3 ? 0 : random.below(4);
    return Array.from({ length: count }, () => randomMessage(field.message, random, level + 1));
  }
  if (field.fieldKind !== 'scalar') throw new Error(`no request has a field like ${field.name}`);
  if (field.scalar === ScalarType.BOOL) return random.chance(0.5);
  if (field.scalar === ScalarType.INT64) return integers[random.below(integers.length)];
  return Buffer.from('x'.repeat(random.below(3)));
}

describe('a call of KV, Lease, Lock and Election by protobuf', () => {
  it.each(native)('GRPC-10: %s is the same call as by JSON, whatever its fields', (path) => {
    const random = new Random(1_610);
    const { input } = typesAt(path);
    for (let round = 0; round < 400; round++) {
      const message = toBinary(input, create(input, randomMessage(input, random)));
      expect(askedOf(parsedNative(path, message)), jsonOfMessage(input, message) ?? '').toEqual(
        askedOf(parsedJson(path, message)),
      );
    }
  });

  it('GRPC-10: bytes that are no message are no call', () => {
    for (const path of native) {
      if (path !== `${lease}LeaseLeases`) expect(parsedNative(path, new Uint8Array([0x0a, 5, 1]))).toBeNull();
    }
  });

  it('GRPC-11: a write of writeBytesMax is a call, and one byte more is refused as etcd refuses it', () => {
    const { input } = typesAt(`${kv}Put`);
    const putOf = (bytes: number): Uint8Array =>
      toBinary(input, create(input, { key: Buffer.from('k'), value: Buffer.alloc(bytes - 7) }));
    expect(putOf(writeBytesMax).byteLength).toBe(writeBytesMax);
    expect(parsedNative(`${kv}Put`, putOf(writeBytesMax))?.kind).toBe('write');
    expect(askedOf(parsedNative(`${kv}Put`, putOf(writeBytesMax + 1)))).toEqual({ refused: 400 });
  });

  it('GRPC-11: a transaction that is nested beyond what a store takes is a call that the store refuses', () => {
    const { input } = typesAt(`${kv}Txn`);
    let txn: Record<string, unknown> = {};
    for (let level = 0; level < 200; level++) txn = { success: [{ request: { case: 'requestTxn', value: txn } }] };
    const message = toBinary(input, create(input, txn));
    expect(askedOf(parsedNative(`${kv}Txn`, message))).toEqual(askedOf(parsedJson(`${kv}Txn`, message)));
  });
});

// Answers

const header = { clusterId: '18446744073709551615', memberId: '7', raftTerm: 3, revision: 9 };
const pair: KeyValue = {
  key: Buffer.from('k'),
  value: Buffer.from('v'),
  createRevision: revision(2),
  modRevision: revision(8),
  version: 4,
  lease: leaseId(-5n),
};
const bare: KeyValue = { ...pair, value: new Uint8Array(), lease: leaseId(0n) };
const range = { kvs: [pair, bare], more: true, count: 12 };

const done: CallOutcome = {
  kind: 'written',
  outcome: { kind: 'txn', revision: revision(8), answer: { succeeded: true, parts: [] } },
};
const notDone: CallOutcome = {
  kind: 'written',
  outcome: { kind: 'txn', revision: revision(8), answer: { succeeded: false, parts: [] } },
};
const named = { name: Buffer.from('jobs'), lease: 7n };
const leader = { ...named, key: Buffer.from('jobs/7'), rev: 8n };

/** What a call says, where its answer depends on that. */
const said: Readonly<Record<string, Record<string, unknown>>> = {
  [`${election}Campaign`]: { ...named, value: Buffer.from('me') },
  [`${election}Proclaim`]: { leader, value: Buffer.from('me') },
  [`${election}Resign`]: { leader },
};

const outcomes: Readonly<Record<string, readonly (CallOutcome | WaitOutcome)[]>> = {
  [`${kv}Range`]: [
    { kind: 'range', answer: range },
    { kind: 'range', answer: { kvs: [], more: false, count: 0 } },
    { kind: 'failed', by: 'store', failure: { kind: 'compacted' } },
    { kind: 'failed', by: 'service', failure: { kind: 'overloaded' } },
  ],
  [`${kv}Put`]: [
    { kind: 'written', outcome: { kind: 'put', revision: revision(8), answer: { previous: pair } } },
    { kind: 'written', outcome: { kind: 'put', revision: revision(8), answer: { previous: null } } },
    { kind: 'written', outcome: { kind: 'appliedBefore', revision: revision(8) } },
    { kind: 'failed', by: 'store', failure: { kind: 'noSpace' } },
  ],
  [`${kv}DeleteRange`]: [
    {
      kind: 'written',
      outcome: { kind: 'deleteRange', revision: revision(8), answer: { deleted: 2, previous: [pair] } },
    },
    { kind: 'written', outcome: { kind: 'deleteRange', revision: revision(8), answer: { deleted: 0, previous: [] } } },
  ],
  [`${kv}Txn`]: [
    {
      kind: 'written',
      outcome: {
        kind: 'txn',
        revision: revision(8),
        answer: {
          succeeded: true,
          parts: [
            { kind: 'range', revision: revision(7), answer: range, keysOnly: false },
            { kind: 'put', revision: revision(8), answer: { previous: pair } },
            { kind: 'put', revision: revision(8), answer: { previous: null } },
            { kind: 'deleteRange', revision: revision(8), answer: { deleted: 1, previous: [pair] } },
            { kind: 'txn', answer: { succeeded: false, parts: [] } },
          ],
        },
      },
    },
  ],
  [`${kv}Compact`]: [{ kind: 'written', outcome: { kind: 'compact', revision: revision(8) } }],
  [`${lease}LeaseGrant`]: [
    { kind: 'written', outcome: { kind: 'leaseGrant', revision: revision(8), id: leaseId(-9n), ttlSeconds: 60 } },
  ],
  [`${lease}LeaseRevoke`]: [{ kind: 'written', outcome: { kind: 'done', revision: revision(8) } }],
  [`${lease}LeaseTimeToLive`]: [
    {
      kind: 'timeToLive',
      revision: revision(8),
      answer: { kind: 'timeToLive', id: leaseId(3n), lease: { ttlSeconds: 60, keys: [Buffer.from('k')] } },
      remainingSeconds: 0,
    },
    {
      kind: 'timeToLive',
      revision: revision(8),
      answer: { kind: 'timeToLive', id: leaseId(3n), lease: null },
      remainingSeconds: null,
    },
  ],
  [`${lease}LeaseLeases`]: [
    { kind: 'queried', revision: revision(8), answer: { kind: 'leases', ids: [leaseId(1n), leaseId(-1n)] } },
    { kind: 'queried', revision: revision(8), answer: { kind: 'leases', ids: [] } },
  ],
  [`${lock}Lock`]: [
    { kind: 'locked', locked: { key: Buffer.from('jobs/7'), revision: 8 } },
    { kind: 'failed', by: 'store', failure: { kind: 'sessionExpired' } },
    { kind: 'failed', by: 'service', failure: { kind: 'overloaded' } },
  ],
  [`${lock}Unlock`]: [
    { kind: 'written', outcome: { kind: 'deleteRange', revision: revision(8), answer: { deleted: 1, previous: [] } } },
    { kind: 'failed', by: 'store', failure: { kind: 'noSpace' } },
  ],
  [`${election}Campaign`]: [
    {
      kind: 'elected',
      elected: { key: Buffer.from('jobs/7'), createRevision: 8, lease: leaseId(-7n), revision: 8 },
    },
    { kind: 'failed', by: 'store', failure: { kind: 'leaseNotFound' } },
  ],
  [`${election}Proclaim`]: [done, notDone],
  [`${election}Leader`]: [
    { kind: 'range', answer: range },
    { kind: 'range', answer: { kvs: [], more: false, count: 0 } },
  ],
  [`${election}Resign`]: [done, notDone],
};

function answerTo(call: ApiCall | null, outcome: CallOutcome | WaitOutcome): Answer {
  const waiting = call === null ? null : waitOf(call);
  // The test gives each call what it may come to.
  if (waiting !== null) return respondWait(waiting.call, outcome as WaitOutcome, header);
  const frame = call === null ? null : framed(call);
  if (frame === null) throw new Error('it goes by no session');
  return respond(frame.call, outcome as CallOutcome, header);
}

describe('the answer to such a call', () => {
  it.each(native)('GRPC-12: %s is the answer of v3 as protobuf', (path) => {
    const { input, output } = typesAt(path);
    const message = toBinary(input, create(input, said[path] ?? {}));
    expect(outcomes[path]?.length).toBeGreaterThan(0);
    for (const outcome of outcomes[path] ?? []) {
      const answered = answerTo(parsedNative(path, message), outcome);
      const expected = answerTo(parsedJson(path, message), outcome);
      expect(answered.status).toBe(expected.status);
      if (expected.status === 200) expect(answered.body).toEqual(messageOfJson(output, String(expected.body)));
      else expect(statusOfAnswer(answered)).toEqual(statusOfAnswer(expected));
    }
  });
});
