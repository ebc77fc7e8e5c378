// etcd's lock and election services: lock/*, election/*. Their errors are plain texts with code 2. A call that is one
// write or one read is parsed to that. A call that has to wait is a call of its own kind (`service-calls.ts`).

import { leaseId, type LeaseId, noLease } from '../../model/brands.ts';
import { base64, emptyBytes } from '../../base/bytes.ts';
import { keyBytesMax, lockNameBytesMax } from '../../limits.ts';
import type { KeyValue, Operation } from '../../model/store.ts';
import type { ApiCall, ResponseHeader } from '../contract.ts';
import type { Failure } from '../errors/errors.ts';
import { bareFailureAnswer, streamFailure } from '../errors/errors.ts';
import type { LeaderKey } from '../queues.ts';
import { campaignTxn, oldestPlace, proclaimTxn, resignTxn } from '../queues.ts';
import { headerJson, keyValueJson } from './encode.ts';
import { bytes, int64, int64Exact, message, submessage } from './message.ts';
import { readBody } from './schema.ts';
import type { ParseUnary } from './unary.ts';
import { answer, findTooLarge, refuseWith, respondTo, sizedWrite, writeCall } from './unary.ts';

const fail = bareFailureAnswer;

type Draft<Model> = { -readonly [Name in keyof Model]: Model[Name] };

const lockRequest = message<{ name: Uint8Array; lease: LeaseId }>(() => ({ name: emptyBytes, lease: noLease }), {
  name: bytes((into, value) => (into.name = value)),
  lease: int64Exact((into, value) => (into.lease = leaseId(value))),
});

const unlockRequest = message<{ key: Uint8Array }>(() => ({ key: emptyBytes }), {
  key: bytes((into, value) => (into.key = value)),
});

const nameRequest = message<{ name: Uint8Array }>(() => ({ name: emptyBytes }), {
  name: bytes((into, value) => (into.name = value)),
});

const campaignRequest = message<{ name: Uint8Array; lease: LeaseId; value: Uint8Array }>(
  () => ({ name: emptyBytes, lease: noLease, value: emptyBytes }),
  {
    name: bytes((into, value) => (into.name = value)),
    lease: int64Exact((into, value) => (into.lease = leaseId(value))),
    value: bytes((into, value) => (into.value = value)),
  },
);

const leaderKey = message<Draft<LeaderKey>>(
  () => ({ name: emptyBytes, key: emptyBytes, createRevision: 0, lease: noLease }),
  {
    name: bytes((into, value) => (into.name = value)),
    key: bytes((into, value) => (into.key = value)),
    rev: int64((into, value) => (into.createRevision = value)),
    lease: int64Exact((into, value) => (into.lease = leaseId(value))),
  },
);

const proclaimRequest = message<{ leader: LeaderKey | null; value: Uint8Array }>(
  () => ({ leader: null, value: emptyBytes }),
  {
    leader: submessage(
      () => leaderKey,
      (into, value) => (into.leader = value),
    ),
    value: bytes((into, value) => (into.value = value)),
  },
);

const resignRequest = message<{ leader: LeaderKey | null }>(() => ({ leader: null }), {
  leader: submessage(
    () => leaderKey,
    (into, value) => (into.leader = value),
  ),
});

function refuse(failure: Failure): ApiCall {
  return refuseWith(fail, failure);
}

/** The failure of a name that is too long: the keys of its places must be valid keys. null: it is short enough. */
function nameFailure(name: Uint8Array): Failure | null {
  return tooLong(name, lockNameBytesMax);
}

/** The failure of a key that is too long, which no call here has answered; null: it is short enough. */
function keyFailure(key: Uint8Array): Failure | null {
  return tooLong(key, keyBytesMax);
}

function tooLong({ byteLength: bytes }: Uint8Array, bytesMax: number): Failure | null {
  return bytes > bytesMax ? { kind: 'requestTooLarge', bytes, bytesMax } : null;
}

export const lock: ParseUnary = (scanner, { timeoutMs, writeId }) => {
  const request = readBody(lockRequest, scanner);
  if (request === null) return null;
  const failure = nameFailure(request.name);
  if (failure !== null) return refuse(failure);
  return {
    kind: 'lock',
    protocol: 'v3',
    timeoutMs,
    writeId,
    ...request,
    respond(result, header) {
      if (result.kind === 'failed') return fail(result.failure);
      const { key, revision } = result.answer;
      return answer(header, revision, `,"key":"${base64(key)}"`);
    },
  };
};

export const unlock: ParseUnary = (scanner, facts) => {
  const request = readBody(unlockRequest, scanner);
  if (request === null) return null;
  const { key } = request;
  const operation = { kind: 'deleteRange', request: { key, rangeEnd: emptyBytes, previous: false } } as const;
  return sizedWrite(operation, facts, { fail });
};

export const campaign: ParseUnary = (scanner, facts) => {
  const request = readBody(campaignRequest, scanner);
  if (request === null) return null;
  const { timeoutMs, writeId } = facts;
  const { name, lease, value } = request;
  const taken: Operation = { kind: 'txn', request: campaignTxn(name, lease, value) };
  const failure = nameFailure(name) ?? findTooLarge(taken, facts);
  if (failure !== null) return refuse(failure);
  return {
    kind: 'campaign',
    protocol: 'v3',
    timeoutMs,
    writeId,
    ...request,
    respond(result, header) {
      if (result.kind === 'failed') return fail(result.failure);
      const { key, createRevision, lease, revision } = result.answer;
      const shown = name.byteLength === 0 ? '' : `"name":"${base64(name)}",`;
      const leader = `${shown}"key":"${base64(key)}","rev":"${createRevision}","lease":"${lease}"`;
      return answer(header, revision, `,"leader":{${leader}}`);
    },
  };
};

export const proclaim: ParseUnary = (scanner, facts) => {
  const request = readBody(proclaimRequest, scanner);
  if (request === null) return null;
  const { timeoutMs, writeId } = facts;
  const { leader, value } = request;
  if (leader === null) return refuse({ kind: 'leaderKeyMissing' });
  const said: Operation = { kind: 'txn', request: proclaimTxn(leader, leader.lease, value) };
  const failure = keyFailure(leader.key) ?? findTooLarge(said, facts);
  if (failure !== null) return refuse(failure);
  return {
    kind: 'sessionWrite',
    protocol: 'v3',
    timeoutMs,
    writeId,
    lease: leader.lease,
    operation: (lease) => ({ kind: 'txn', request: proclaimTxn(leader, lease, value) }),
    respond(outcome, header) {
      if (outcome.kind === 'txn' && !outcome.answer.succeeded) return fail({ kind: 'notElectionLeader' });
      return respondTo(fail, () => '')(outcome, header);
    },
  };
};

export const resign: ParseUnary = (scanner, facts) => {
  const request = readBody(resignRequest, scanner);
  if (request === null) return null;
  const { leader } = request;
  if (leader === null) return refuse({ kind: 'leaderKeyMissing' });
  const failure = keyFailure(leader.key);
  if (failure !== null) return refuse(failure);
  return writeCall(facts, { kind: 'txn', request: resignTxn(leader) }, { fail });
};

export const leader: ParseUnary = (scanner, { timeoutMs }) => {
  const request = readBody(nameRequest, scanner);
  if (request === null) return null;
  const failure = nameFailure(request.name);
  if (failure !== null) return refuse(failure);
  return {
    kind: 'read',
    protocol: 'v3',
    timeoutMs,
    request: oldestPlace(request.name),
    serializable: false,
    respond(result, header) {
      if (result.kind === 'failed') return fail(result.failure);
      const kv = result.answer.kvs.at(0);
      if (kv === undefined) return fail({ kind: 'electionNoLeader' });
      return answer(header, header.revision, `,"kv":${keyValueJson(kv)}`);
    },
  };
};

export const observe: ParseUnary = (scanner, { timeoutMs }) => {
  const request = readBody(nameRequest, scanner);
  if (request === null) return null;
  const failure = nameFailure(request.name);
  if (failure !== null) return refuse(failure);
  return {
    kind: 'observe',
    protocol: 'v3',
    timeoutMs,
    request: oldestPlace(request.name),
    failed: (failure) => streamFailure(failure, 'lost'),
  };
};

/** One message of observe, without its newline. */
export function observeMessage(header: ResponseHeader, kv: KeyValue): string {
  return `{"result":{${headerJson(header, header.revision)},"kv":${keyValueJson(kv)}}}`;
}
