import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { parseCall } from '../../src/api/call.ts';
import { failureResponse, knownFailure } from '../../src/api/errors/errors.ts';
import { Scanner, byteString } from '../../src/api/json/scanner.ts';
import { readOf } from '../../src/api/requests.ts';
import { framed } from '../../src/api/store-call.ts';
import { putRequest, readBody, txnRequest } from '../../src/api/v3/schema.ts';
import { assert } from '../../src/base/assert.ts';
import { BinaryReader, BinaryWriter } from '../../src/base/binary.ts';
import { emptyBytes, utf8 } from '../../src/base/bytes.ts';
import { callElementsMax, callNestedMax, writeIdBytesMax } from '../../src/limits.ts';
import { leaseId, noLease, revision } from '../../src/model/brands.ts';
import {
  rangeAnswerBytes,
  txnAnswerBytes,
  writeRangeAnswer,
  writeTxnAnswer,
} from '../../src/model/codec/answer-codec.ts';
import type { CallAnswer, CallOutcome, ClientWrite, StoreCall } from '../../src/model/calls.ts';
import type { RangeRequest, TxnOperation, TxnPart, TxnRequest } from '../../src/model/store.ts';
import { decodeAnswer, encodeAnswer } from '../../src/session/answer-codec.ts';
import { decodeCall, encodeCall, fitsFrame } from '../../src/session/call-codec.ts';
import { readFailure, writeFailure } from '../../src/session/failure-codec.ts';
import { all } from '../api/errors/failure-samples.ts';
import { Random } from '../support/random.ts';
import { calls, requestOf } from '../api/v3/recording.ts';

const recorded = calls(/\.jsonl$/).filter(({ path }) => /^\/v3(beta)?\/(kv|lease|auth)\//.test(path));

/** The calls of the corpus, as frames. */
function corpusFrames(): Uint8Array[] {
  return recorded.flatMap((call) => {
    if (call.text.length > 20_000) return [];
    const asked = framed(parseCall(requestOf(call)))?.asked;
    return asked === undefined ? [] : [encodeCall(asked)];
  });
}

function write(operation: ClientWrite, writeId: string | null = null): StoreCall {
  return { kind: 'write', operation, writeId };
}

function txn(success: readonly TxnOperation[]): StoreCall {
  return write({ kind: 'txn', request: { compare: [], success, failure: [] } });
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function through(failure: Parameters<typeof writeFailure>[1]): ReturnType<typeof readFailure> {
  const writer = new BinaryWriter();
  writeFailure(writer, failure);
  return readFailure(new BinaryReader(writer.finish()));
}

function nested(levels: number): StoreCall {
  let request: TxnRequest = { compare: [], success: [], failure: [] };
  for (let level = 1; level < levels; level++) {
    request = { compare: [], success: [{ kind: 'txn', request }], failure: [] };
  }
  return write({ kind: 'txn', request });
}
function empties(length: number): StoreCall {
  return txn(Array.from({ length }, () => ({ kind: 'empty' })));
}

describe('SESSION-CALL-2: a call past a bound is refused in a frame as in JSON, in the order of etcd', () => {
  const large = recorded.filter(({ answer, path }) => {
    const message = (answer as { message?: unknown } | undefined)?.message;
    return message === 'etcdserver: request is too large' && /\/(put|txn)$/.test(path);
  });

  it('knows such requests', () => expect(large.length).toBeGreaterThanOrEqual(3));

  it.each(large)('$place', async ({ path, text, status, answer }) => {
    const scanner = new Scanner(byteString(utf8(text)));
    const operation: ClientWrite | null = path.endsWith('/put')
      ? { kind: 'put', request: readBody(putRequest, scanner)! }
      : { kind: 'txn', request: readBody(txnRequest, scanner)! };
    const decoded = decodeCall(encodeCall(write(operation)));
    assert(decoded.kind === 'refused', 'it is too large');
    const response = failureResponse('v3', knownFailure(decoded.refusal));
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject(answer as object);
  });

  it('of numbers that no JSON of etcd has', () => {
    const numbers = ['limit', 'revision', 'sortOrder', 'sortTarget', 'minModRevision', 'maxCreateRevision'] as const;
    for (const name of numbers) {
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 0.5, 2 ** 64]) {
        const request: RangeRequest = { ...readOf({ key: utf8('a'), rangeEnd: emptyBytes }), [name]: value };
        for (const call of [{ kind: 'read', request } as const, txn([{ kind: 'range', request }])]) {
          const detail = `${name} is not a whole number of 64 bits`;
          expect(decodeCall(encodeCall(call))).toEqual({ kind: 'refused', refusal: { kind: 'badRequest', detail } });
        }
      }
    }
    const grant = write({ kind: 'leaseGrant', id: noLease, candidate: noLease, ttlSeconds: 0.5 });
    expect(decodeCall(encodeCall(grant)).kind).toBe('refused');
    expect(decodeCall(encodeCall(write({ kind: 'compact', request: { revision: Number.NaN } }))).kind).toBe('refused');
  });

  it('of ids of writes', () => {
    const revoke: ClientWrite = { kind: 'leaseRevoke', id: leaseId(7n) };
    expect(decodeCall(encodeCall(write(revoke, 'x'.repeat(writeIdBytesMax)))).kind).toBe('call');
    expect(decodeCall(encodeCall(write(revoke, 'x'.repeat(writeIdBytesMax + 1)))).kind).toBe('refused');
    expect(decodeCall(encodeCall(write(revoke, 'with space'))).kind).toBe('refused');
  });
});

describe('SESSION-CALL-3: whatever the bytes are, they are decoded to a value', () => {
  const frames = corpusFrames();

  it('of random bytes', () => {
    const random = new Random(1);
    for (let round = 0; round < 20_000; round++) {
      const bytes = random.bytes(random.below(80));
      if (bytes.byteLength > 0 && random.below(2) === 0) bytes[0] = 1 + random.below(17);
      expect(['call', 'refused', 'unknown', 'malformed']).toContain(decodeCall(bytes).kind);
      decodeAnswer(bytes);
    }
  });

  it('of frames that something happened to', () => {
    expect(frames.length).toBeGreaterThan(3_000);
    const random = new Random(2);
    for (let round = 0; round < 20_000; round++) {
      const bytes = random.pick(frames).slice(0, 2_000);
      for (let changes = 1 + random.below(3); changes > 0; changes--) {
        bytes[random.below(bytes.byteLength)] = random.below(256);
      }
      const decoded = decodeCall(bytes.subarray(0, bytes.byteLength - (random.below(4) === 0 ? 1 : 0)));
      if (decoded.kind === 'call') expect(decodeCall(encodeCall(decoded.call))).toEqual(decoded);
    }
  });

  it('names a kind of call that it does not know', () => {
    expect(decodeCall(new Uint8Array([99, 1, 2]))).toEqual({ kind: 'unknown', code: 99 });
    expect(decodeCall(emptyBytes).kind).toBe('malformed');
  });
});

describe('SESSION-CALL-4: the form of a frame does not change within a version', () => {
  const put: ClientWrite = {
    kind: 'put',
    request: {
      key: utf8('key'),
      value: utf8('value'),
      lease: leaseId(-2n),
      previous: true,
      ignoreValue: false,
      ignoreLease: false,
    },
  };

  it.each([
    ['range', { kind: 'read', request: readOf({ key: utf8('a'), rangeEnd: utf8('b') }, { limit: 3, keysOnly: true }) }],
    ['put', write(put)],
    ['put with an id', write(put, 'mine')],
    ['delete', write({ kind: 'deleteRange', request: { key: utf8('a'), rangeEnd: emptyBytes, previous: true } })],
    ['grant', write({ kind: 'leaseGrant', id: leaseId(9n), candidate: noLease, ttlSeconds: 60 })],
    ['compact', write({ kind: 'compact', request: { revision: 5 } })],
    ['time to live', { kind: 'query', query: { kind: 'timeToLive', id: leaseId(9n), keys: true } }],
    ['role', { kind: 'query', query: { kind: 'roleGet', role: 'r' } }],
    [
      'txn',
      write({
        kind: 'txn',
        request: {
          compare: [{ key: utf8('k'), rangeEnd: emptyBytes, result: 0, target: 'mod', operand: 0 }],
          success: [{ kind: 'put', request: put.request }],
          failure: [{ kind: 'empty' }],
        },
      }),
    ],
  ] satisfies [string, StoreCall][])('of a call: %s', (_, call) => {
    expect(hex(encodeCall(call))).toMatchSnapshot();
    expect(decodeCall(encodeCall(call))).toEqual({ kind: 'call', call });
  });

  const header = { clusterId: '18446744073709551615', memberId: '12', raftTerm: 3, revision: 9 };
  const kv = {
    key: utf8('k'),
    value: utf8('v'),
    createRevision: revision(2),
    modRevision: revision(3),
    version: 2,
    lease: noLease,
  };
  it.each([
    ['range', { kind: 'range', answer: { kvs: [kv], more: true, count: 2 } }],
    ['put', { kind: 'written', outcome: { kind: 'put', revision: revision(9), answer: { previous: kv } } }],
    [
      'grant',
      { kind: 'written', outcome: { kind: 'leaseGrant', revision: revision(9), id: leaseId(5n), ttlSeconds: 9 } },
    ],
    ['applied before', { kind: 'written', outcome: { kind: 'appliedBefore', revision: revision(4) } }],
    ['refused by the store', { kind: 'failed', by: 'store', failure: { kind: 'compacted', compactedRevision: 7 } }],
    ['refused by the service', { kind: 'failed', by: 'service', failure: { kind: 'overloaded' } }],
    ['leases', { kind: 'queried', revision: revision(9), answer: { kind: 'leases', ids: [leaseId(1n)] } }],
    [
      'time to live',
      {
        kind: 'timeToLive',
        revision: revision(9),
        answer: { kind: 'timeToLive', id: leaseId(1n), lease: { ttlSeconds: 60, keys: [utf8('a')] } },
        remainingSeconds: null,
      },
    ],
  ] satisfies [string, Extract<CallAnswer, { kind: 'answered' }>['outcome']][])('of an outcome: %s', (_, outcome) => {
    const answer: CallAnswer = { kind: 'answered', header, outcome };
    expect(hex(encodeAnswer(answer))).toMatchSnapshot();
    expect(decodeAnswer(encodeAnswer(answer))).toEqual(answer);
  });

  it('of who leads', () => {
    const members = [{ number: 2, location: 'weur' }];
    for (const answer of [{ kind: 'notLeader', leader: 2, members }, { kind: 'absent' }] as const) {
      expect(hex(encodeAnswer(answer))).toMatchSnapshot();
      expect(decodeAnswer(encodeAnswer(answer))).toEqual(answer);
    }
  });
});

describe('SESSION-CALL-5: a failure comes through a frame as what it is', () => {
  it.each(Object.values(all))('$kind', (failure) => {
    expect(knownFailure(through(failure))).toEqual(failure);
  });

  it('and one that newer code makes is told as a fault of the service', () => {
    expect(knownFailure(through({ kind: 'fromTomorrow', count: 3 }))).toEqual({ kind: 'internal' });
  });
});

describe('SESSION-CALL-6: a transaction in a frame has callElementsMax elements on callNestedMax levels', () => {
  it.each([
    ['levels', nested(callNestedMax), nested(callNestedMax + 1)],
    ['elements', empties(callElementsMax), empties(callElementsMax + 1)],
  ])('%s', (_, within, beyond) => {
    expect(fitsFrame(within)).toBe(true);
    expect(decodeCall(encodeCall(within)).kind).toBe('call');
    expect(fitsFrame(beyond)).toBe(false);
    expect(decodeCall(encodeCall(beyond)).kind).toBe('malformed');
  });
});

it('SESSION-CALL-7: an answer with pairs is written once into a buffer of its size, whatever call it is of', () => {
  const value = new Uint8Array(1_400_000);
  const numbers = { createRevision: revision(3), modRevision: revision(2 ** 40), version: 300 };
  const kvs = [noLease, leaseId(7n), noLease].map((lease, n) => ({ key: utf8(`k/${n}`), value, ...numbers, lease }));
  const range = { kvs, more: true, count: 2 ** 20 };
  const at = revision(2 ** 40);
  const [previous = null] = kvs;
  const parts: TxnPart[] = [
    { kind: 'range', revision: at, answer: range, keysOnly: false },
    { kind: 'put', revision: at, answer: { previous } },
    { kind: 'put', revision: at, answer: { previous: null } },
    { kind: 'deleteRange', revision: at, answer: { deleted: 300, previous: kvs } },
  ];
  const txnAnswer = {
    succeeded: true,
    parts: [...parts, { kind: 'txn' as const, answer: { succeeded: false, parts } }],
  };
  const written = (outcome: object): CallOutcome => ({
    kind: 'written',
    outcome: { revision: at, ...outcome } as never,
  });
  const outcomes: readonly CallOutcome[] = [
    { kind: 'range', answer: range },
    written({ kind: 'put', answer: { previous } }),
    written({ kind: 'deleteRange', answer: { deleted: 3, previous: kvs } }),
    written({ kind: 'txn', answer: txnAnswer }),
  ];
  const header = { clusterId: '11', memberId: '12', raftTerm: 3, revision: 9 };
  for (const outcome of outcomes) {
    const answer: CallAnswer = { kind: 'answered', header, outcome };
    const { buffer, byteLength } = encodeAnswer(answer);
    expect(byteLength).toBeGreaterThan(1_400_000);
    expect(buffer.byteLength - byteLength).toBeLessThanOrEqual(96);
  }
  for (const [write, bytes] of [
    [(writer: BinaryWriter) => writeTxnAnswer(writer, txnAnswer), txnAnswerBytes(txnAnswer)],
    [(writer: BinaryWriter) => writeRangeAnswer(writer, range), rangeAnswerBytes(range)],
  ] as const) {
    const writer = new BinaryWriter();
    write(writer);
    expect(writer.length).toBe(bytes);
  }
});
