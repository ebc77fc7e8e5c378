// A parsed call as the data that crosses to a replica, and the answer to it from the data that comes back.

import type { Answer } from './answer.ts';
import { assert, unreachable } from '../base/assert.ts';
import { revision } from '../model/brands.ts';
import type { CallOutcome, ClientQuery, ClientWrite, FailureData, ResponseHeader, StoreCall } from '../model/calls.ts';
import type { QueryResult } from '../model/queries.ts';
import type { Operation, Outcome, StoreFailure } from '../model/store.ts';
import type { ApiCall } from './contract.ts';
import { failureAnswer, knownFailure, knownStoreFailure } from './errors/errors.ts';

/** The calls that one answer of the store answers, whoever asked for it. */
export type FramedCall = Extract<ApiCall, { readonly kind: 'read' | 'write' | 'query' | 'timeToLive' | 'keepAlive' }>;

export type Framed = { readonly call: FramedCall; readonly asked: StoreCall };

/** null: the replica has more to do for it than to ask its store, or it is a rare one: it crosses as it came. */
export function framed(call: ApiCall): Framed | null {
  if (call.kind === 'read') {
    const { request, serializable } = call;
    const asked = request.serializable === serializable ? request : { ...request, serializable };
    return { call, asked: { kind: 'read', request: asked } };
  }
  if (call.kind === 'write') {
    const { operation, writeId } = call;
    return isClientWrite(operation) ? { call, asked: { kind: 'write', operation, writeId } } : null;
  }
  if (call.kind !== 'query' && call.kind !== 'timeToLive' && call.kind !== 'keepAlive') return null;
  const { query } = call;
  return isClientQuery(query) ? { call, asked: { kind: 'query', query } } : null;
}

const clientWrites: ReadonlySet<Operation['kind']> = new Set<ClientWrite['kind']>([
  'put',
  'deleteRange',
  'txn',
  'compact',
  'leaseGrant',
  'leaseRevoke',
]);

function isClientWrite(operation: Operation): operation is ClientWrite {
  return clientWrites.has(operation.kind);
}

const clientQueries: ReadonlySet<string> = new Set<ClientQuery['kind']>([
  'timeToLive',
  'keepAlive',
  'leases',
  'authStatus',
  'userGet',
  'userList',
  'roleGet',
  'roleList',
  'alarms',
]);

function isClientQuery(query: { readonly kind: string }): query is ClientQuery {
  return clientQueries.has(query.kind);
}

/** The answer of the call, in its protocol's form. */
export function respond(call: FramedCall, outcome: CallOutcome, header: ResponseHeader): Answer {
  if (outcome.kind === 'failed') return respondFailed(call, outcome.by, outcome.failure, header);
  switch (call.kind) {
    case 'read':
      assert(outcome.kind === 'range', 'a read is answered as one');
      return call.respond({ kind: 'answer', answer: outcome.answer }, header);
    case 'write':
      assert(outcome.kind === 'written', 'a write is answered as one');
      return call.respond(outcome.outcome, header);
    case 'query':
    case 'keepAlive':
      assert(outcome.kind === 'queried', 'a query is answered as one');
      return call.respond({ kind: 'answer', revision: outcome.revision, answer: outcome.answer }, header);
    case 'timeToLive': {
      assert(outcome.kind === 'timeToLive', 'a look at a lease is answered as one');
      const { answer, remainingSeconds } = outcome;
      return call.respond({ kind: 'answer', revision: outcome.revision, answer }, remainingSeconds, header);
    }
    default:
      return unreachable(call);
  }
}

function respondFailed(call: FramedCall, by: 'store' | 'service', data: FailureData, header: ResponseHeader): Answer {
  const failure = by === 'store' ? knownStoreFailure(data) : null;
  if (failure === null) return failureAnswer(call.protocol, knownFailure(data));
  switch (call.kind) {
    case 'read':
      return call.respond({ kind: 'failed', failure }, header);
    case 'write':
      return call.respond({ kind: 'failed', revision: revision(header.revision), failure }, header);
    case 'query':
    case 'keepAlive':
      return call.respond({ kind: 'failed', failure }, header);
    case 'timeToLive':
      return call.respond({ kind: 'failed', failure }, null, header);
    default:
      return unreachable(call);
  }
}

// What a store says, as the outcome of a call

export function outcomeOfWrite(outcome: Outcome): CallOutcome {
  return outcome.kind === 'failed' ? refusedByStore(outcome.failure) : { kind: 'written', outcome };
}

export function refusedByStore(failure: StoreFailure): CallOutcome {
  return { kind: 'failed', by: 'store', failure };
}

/** Of every query but a look at a lease. */
export function outcomeOfQuery(result: QueryResult<ClientQuery['kind']>): CallOutcome {
  if (result.kind === 'failed') return refusedByStore(result.failure);
  return { kind: 'queried', revision: result.revision, answer: result.answer };
}
