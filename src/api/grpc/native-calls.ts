// The calls of KV, Lease, Lock and Election that go to a store by session: their requests are read from protobuf to the
// same calls that v3's JSON makes, with the same bounds, and their answers are protobuf. A call that fails is answered
// as v3 answers.

import { assert, unreachable } from '../../base/assert.ts';
import { noLease } from '../../model/brands.ts';
import { readTooLarge } from '../../model/call-check.ts';
import type { Operation } from '../../model/store.ts';
import { Answer } from '../answer.ts';
import type { ApiCall, AppliedOutcome } from '../contract.ts';
import { answerOf } from '../query-answer.ts';
import { failKept, findTooLarge, refuseWith } from '../v3/unary.ts';
import { concurrencyParsers } from './concurrency-messages.ts';
import {
  type AnswerFields,
  decodeCompaction,
  decodeDeleteRange,
  decodeGrant,
  decodeKeepAlive,
  decodePut,
  decodeRange,
  decodeRevoke,
  decodeTimeToLive,
  decodeTxn,
  encoder,
  keyValueOf,
  rangeFields,
  txnFields,
} from './kv-messages.ts';

/** Null: the bytes are no message of the call's. */
export type ParseNative = (message: Uint8Array) => ApiCall | null;

/** By the path of the method. All others go by JSON. */
const parsers = new Map<string, ParseNative>(Object.entries(concurrencyParsers));

export function nativeParser(path: string): ParseNative | null {
  return parsers.get(path) ?? null;
}

const noHeaders = {};

function answered(message: Uint8Array): Answer {
  return new Answer(200, noHeaders, message);
}

const shared = { protocol: 'v3', timeoutMs: null } as const;

const kv = '/etcdserverpb.KV/';
const lease = '/etcdserverpb.Lease/';

// Reads

const encodeRange = encoder(`${kv}Range`);

parsers.set(`${kv}Range`, (message) => {
  const request = decodeRange(message);
  if (request === null) return null;
  const refusal = readTooLarge(request, message.byteLength);
  if (refusal !== null) return refuseWith(failKept, refusal);
  return {
    ...shared,
    kind: 'read',
    request,
    serializable: request.serializable,
    respond(result, header) {
      if (result.kind === 'failed') return failKept(result.failure);
      return answered(encodeRange(header, header.revision, rangeFields(result.answer)));
    },
  };
});

// Writes

function write<Request>(
  path: string,
  decode: (message: Uint8Array) => Request | null,
  operationOf: (request: Request) => Operation,
): void {
  const encode = encoder(path);
  parsers.set(path, (message) => {
    const request = decode(message);
    if (request === null) return null;
    const operation = operationOf(request);
    const failure = findTooLarge(operation, { timeoutMs: null, writeId: null, bodyBytes: message.byteLength });
    if (failure !== null) return refuseWith(failKept, failure);
    return {
      ...shared,
      kind: 'write',
      writeId: null,
      operation,
      respond(outcome, header) {
        if (outcome.kind === 'failed') return failKept(outcome.failure);
        const { revision } = outcome;
        if (outcome.kind === 'appliedBefore') return failKept({ kind: 'appliedBefore', revision });
        return answered(encode(header, revision, outcomeFields(outcome)));
      },
    };
  });
}

write(`${kv}Put`, decodePut, (request) => ({ kind: 'put', request }));
write(`${kv}DeleteRange`, decodeDeleteRange, (request) => ({ kind: 'deleteRange', request }));
write(`${kv}Txn`, decodeTxn, (request) => ({ kind: 'txn', request }));
write(`${kv}Compact`, decodeCompaction, (request) => ({ kind: 'compact', request }));
write(`${lease}LeaseGrant`, decodeGrant, (request) => ({ kind: 'leaseGrant', ...request, candidate: noLease }));
write(`${lease}LeaseRevoke`, decodeRevoke, (id) => ({ kind: 'leaseRevoke', id }));

function outcomeFields(outcome: AppliedOutcome): AnswerFields {
  switch (outcome.kind) {
    case 'put': {
      const { previous } = outcome.answer;
      return previous === null ? {} : { prevKv: keyValueOf(previous) };
    }
    case 'deleteRange': {
      const { deleted, previous } = outcome.answer;
      return { deleted: BigInt(deleted), prevKvs: previous.map(keyValueOf) };
    }
    case 'txn':
      return txnFields(outcome.answer);
    case 'leaseGrant':
      return { ID: outcome.id, TTL: BigInt(outcome.ttlSeconds) };
    case 'compact':
    case 'createAccessKey':
    case 'revokeAccessKey':
    case 'alarm':
    case 'done':
      return {};
    default:
      return unreachable(outcome);
  }
}

// Leases

const encodeTimeToLive = encoder(`${lease}LeaseTimeToLive`);

parsers.set(`${lease}LeaseTimeToLive`, (message) => {
  const request = decodeTimeToLive(message);
  if (request === null) return null;
  return {
    ...shared,
    kind: 'timeToLive',
    query: { kind: 'timeToLive', ...request },
    respond(result, remainingSeconds, header) {
      if (result.kind === 'failed') return failKept(result.failure);
      const { id, lease: found } = answerOf('timeToLive', result);
      const isThere = found !== null && remainingSeconds !== null;
      const fields = isThere
        ? { TTL: BigInt(remainingSeconds), grantedTTL: BigInt(found.ttlSeconds), keys: [...found.keys] }
        : { TTL: -1n };
      return answered(encodeTimeToLive(header, result.revision, { ID: id, ...fields }));
    },
  };
});

const encodeLeases = encoder(`${lease}LeaseLeases`);

parsers.set(`${lease}LeaseLeases`, () => ({
  ...shared,
  kind: 'query',
  query: { kind: 'leases' },
  respond(result, header) {
    if (result.kind === 'failed') return failKept(result.failure);
    const leases = answerOf('leases', result).ids.map((ID) => ({ ID }));
    return answered(encodeLeases(header, result.revision, { leases }));
  },
}));

const encodeKeepAlive = encoder(`${lease}LeaseKeepAlive`);

/** Each message of the stream is a call of its own. */
parsers.set(`${lease}LeaseKeepAlive`, (message) => {
  const id = decodeKeepAlive(message);
  if (id === null) return null;
  return {
    ...shared,
    kind: 'keepAlive',
    query: { kind: 'keepAlive', id },
    respond(result, header) {
      if (result.kind === 'failed') return failKept(result.failure);
      const { ttlSeconds } = answerOf('keepAlive', result);
      assert(ttlSeconds === null || ttlSeconds > 0, 'a lease has a time to live');
      return answered(encodeKeepAlive(header, header.revision, { ID: id, TTL: BigInt(ttlSeconds ?? 0) }));
    },
  };
});
