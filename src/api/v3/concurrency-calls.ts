// The calls of etcd's lock and election services, whichever form their messages come in: with their bounds, and with
// failures in the form of these services. What is shown of a success is for the form to say.

import { type LeaseId, noLease } from '../../model/brands.ts';
import { emptyBytes } from '../../base/bytes.ts';
import { keyBytesMax, lockNameBytesMax } from '../../limits.ts';
import type { KeyValue, Operation, Outcome } from '../../model/store.ts';
import type { Elected, Locked } from '../../model/waits.ts';
import type { Answer } from '../answer.ts';
import type { ApiCall, ResponseHeader, WriteCall } from '../contract.ts';
import type { Failure } from '../errors/errors.ts';
import { bareFailureAnswer, streamFailure } from '../errors/errors.ts';
import type { LeaderKey } from '../queues.ts';
import { campaignTxn, oldestPlace, proclaimTxn, resignTxn } from '../queues.ts';
import { findTooLarge, refuseWith, type RequestFacts } from './unary.ts';

/** Shows what a call came to. */
export type Shown<Value> = (header: ResponseHeader, value: Value) => Answer;

type Named = { readonly name: Uint8Array };

const fail = bareFailureAnswer;

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

export function lockCall(
  request: Named & { readonly lease: LeaseId },
  { timeoutMs, writeId }: RequestFacts,
  shown: Shown<Locked>,
): ApiCall {
  const failure = nameFailure(request.name);
  if (failure !== null) return refuse(failure);
  return {
    kind: 'lock',
    protocol: 'v3',
    timeoutMs,
    writeId,
    ...request,
    respond: (result, header) => (result.kind === 'failed' ? fail(result.failure) : shown(header, result.answer)),
  };
}

export function unlockCall({ key }: { readonly key: Uint8Array }, facts: RequestFacts, shown: Shown<number>): ApiCall {
  const operation = { kind: 'deleteRange', request: { key, rangeEnd: emptyBytes, previous: false } } as const;
  const failure = findTooLarge(operation, facts);
  return failure === null ? writeOf(operation, facts, respondAt(shown)) : refuse(failure);
}

export function campaignCall(
  request: Named & { readonly lease: LeaseId; readonly value: Uint8Array },
  facts: RequestFacts,
  shown: Shown<Elected>,
): ApiCall {
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
    respond: (result, header) => (result.kind === 'failed' ? fail(result.failure) : shown(header, result.answer)),
  };
}

export function proclaimCall(
  { leader, value }: { readonly leader: LeaderKey | null; readonly value: Uint8Array },
  facts: RequestFacts,
  shown: Shown<number>,
): ApiCall {
  const { timeoutMs, writeId } = facts;
  if (leader === null) return refuse({ kind: 'leaderKeyMissing' });
  const operation = (lease: LeaseId): Operation => ({ kind: 'txn', request: proclaimTxn(leader, lease, value) });
  const failure = keyFailure(leader.key) ?? findTooLarge(operation(leader.lease), facts);
  if (failure !== null) return refuse(failure);
  const respondDone = respondAt(shown);
  const respond: WriteCall['respond'] = (outcome, header) => {
    if (outcome.kind === 'txn' && !outcome.answer.succeeded) return fail({ kind: 'notElectionLeader' });
    return respondDone(outcome, header);
  };
  // Only a lease that has to be granted first takes more than one write.
  if (leader.lease !== noLease) return writeOf(operation(leader.lease), facts, respond);
  return { kind: 'sessionWrite', protocol: 'v3', timeoutMs, writeId, lease: noLease, operation, respond };
}

export function resignCall(
  { leader }: { readonly leader: LeaderKey | null },
  facts: RequestFacts,
  shown: Shown<number>,
): ApiCall {
  if (leader === null) return refuse({ kind: 'leaderKeyMissing' });
  const failure = keyFailure(leader.key);
  if (failure !== null) return refuse(failure);
  return writeOf({ kind: 'txn', request: resignTxn(leader) }, facts, respondAt(shown));
}

export function leaderCall({ name }: Named, { timeoutMs }: RequestFacts, shown: Shown<KeyValue>): ApiCall {
  const failure = nameFailure(name);
  if (failure !== null) return refuse(failure);
  return {
    kind: 'read',
    protocol: 'v3',
    timeoutMs,
    request: oldestPlace(name),
    serializable: false,
    respond(result, header) {
      if (result.kind === 'failed') return fail(result.failure);
      const kv = result.answer.kvs.at(0);
      return kv === undefined ? fail({ kind: 'electionNoLeader' }) : shown(header, kv);
    },
  };
}

export function observeCall({ name }: Named, { timeoutMs }: RequestFacts): ApiCall {
  const failure = nameFailure(name);
  if (failure !== null) return refuse(failure);
  return {
    kind: 'observe',
    protocol: 'v3',
    timeoutMs,
    request: oldestPlace(name),
    failed: (failed) => streamFailure(failed, 'lost'),
  };
}

function writeOf(operation: Operation, { timeoutMs, writeId }: RequestFacts, respond: WriteCall['respond']): WriteCall {
  return { kind: 'write', protocol: 'v3', timeoutMs, writeId, operation, respond };
}

/** Shows the revision of a write that was done. */
function respondAt(shown: Shown<number>): WriteCall['respond'] {
  return (outcome: Outcome, header) => {
    if (outcome.kind === 'failed') return fail(outcome.failure);
    const { revision } = outcome;
    if (outcome.kind === 'appliedBefore') return fail({ kind: 'appliedBefore', revision });
    return shown(header, revision);
  };
}
