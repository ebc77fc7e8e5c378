// /v1/leases: grant, list, look at, keep alive, revoke. An id is a decimal string, because it may have 64 bits.

import type { Answer } from '../answer.ts';
import { assert } from '../../base/assert.ts';
import { leaseId, type LeaseId, noLease } from '../../model/brands.ts';
import { leaseSecondsMax } from '../../limits.ts';
import type { Operation } from '../../model/store.ts';
import type { ApiRequest, AppliedOutcome, KeepAliveCall, QueryCall, TimeToLiveCall, WriteCall } from '../contract.ts';
import { failureAnswer } from '../errors/errors.ts';
import { answerOf } from '../query-answer.ts';
import { parseWriteId } from '../write-id.ts';
import { bytesJson, createdAnswer, jsonAnswer } from './encode.ts';
import { parseObject } from './fields.ts';
import { failureOf } from './key-calls.ts';
import { flagParameter, parseLease, parseQuery } from './parameters.ts';
import type { Bad, Parsed } from './parsed.ts';
import { bad, parsed } from './parsed.ts';

function parseId(text: string): Parsed<LeaseId> {
  const id = parseLease(text);
  return id === null ? bad('the id of a lease is a decimal integer of 64 bits') : parsed(leaseId(id));
}

function refuseQuery(request: ApiRequest): Bad | null {
  const query = parseQuery(request.query, []);
  return query.kind === 'bad' ? query : null;
}

/** A call that takes no fields may still be sent an empty object. */
function refuseBody(request: ApiRequest): Bad | null {
  if (request.body.byteLength === 0) return null;
  const body = parseObject(request.body, () => null);
  return body.kind === 'bad' ? body : null;
}

function write(
  request: ApiRequest,
  operation: Operation,
  answer: (outcome: AppliedOutcome) => Answer,
): Parsed<WriteCall> {
  const writeId = parseWriteId(request.headers);
  if (writeId.kind === 'malformed') return bad(writeId.detail);
  return parsed({
    kind: 'write',
    protocol: 'v1',
    timeoutMs: null,
    operation,
    writeId: writeId.writeId,
    respond(outcome) {
      if (outcome.kind === 'failed' || outcome.kind === 'appliedBefore') {
        const failure = failureOf(outcome);
        assert(failure !== null, 'both of them are failures');
        return failureAnswer('v1', failure);
      }
      return answer(outcome);
    },
  });
}

/** The replica fills in `candidate`, because nothing in a parser is random. */
export function parseGrant(request: ApiRequest): Parsed<WriteCall> {
  const refused = refuseQuery(request);
  if (refused !== null) return refused;
  const body = parseObject(request.body, (fields) => {
    const ttl = fields.integer('ttl', { min: 1, max: leaseSecondsMax });
    if (!fields.has('ttl')) fields.missing('ttl');
    return ttl ?? 1;
  });
  if (body.kind === 'bad') return body;
  const operation: Operation = { kind: 'leaseGrant', id: noLease, candidate: noLease, ttlSeconds: body.value };
  return write(request, operation, (outcome) => {
    assert(outcome.kind === 'leaseGrant', 'a grant answers as one');
    const { id, ttlSeconds, revision } = outcome;
    return createdAnswer(
      `{"id":"${id}","ttl":${ttlSeconds},"granted_ttl":${ttlSeconds},"revision":${revision}}`,
      `/v1/leases/${id}`,
    );
  });
}

export function parseRevoke(request: ApiRequest, idText: string): Parsed<WriteCall> {
  const refused = refuseQuery(request);
  if (refused !== null) return refused;
  const id = parseId(idText);
  if (id.kind === 'bad') return id;
  return write(request, { kind: 'leaseRevoke', id: id.value }, ({ revision }) =>
    jsonAnswer(`{"id":"${id.value}","revision":${revision}}`),
  );
}

export function parseLeases(request: ApiRequest): Parsed<QueryCall> {
  const refused = refuseQuery(request);
  if (refused !== null) return refused;
  return parsed({
    kind: 'query',
    protocol: 'v1',
    timeoutMs: null,
    query: { kind: 'leases' },
    respond(result) {
      if (result.kind === 'failed') return failureAnswer('v1', result.failure);
      const { ids } = answerOf('leases', result);
      const list = ids.map((id) => `{"id":"${id}"}`).join(',');
      return jsonAnswer(`{"leases":[${list}],"revision":${result.revision}}`);
    },
  });
}

export function parseLook(request: ApiRequest, idText: string): Parsed<TimeToLiveCall> {
  const query = parseQuery(request.query, ['keys']);
  if (query.kind === 'bad') return query;
  const keys = flagParameter(query.value, 'keys', true);
  if (keys.kind === 'bad') return keys;
  const id = parseId(idText);
  if (id.kind === 'bad') return id;
  const withKeys = keys.value;
  return parsed({
    kind: 'timeToLive',
    protocol: 'v1',
    timeoutMs: null,
    query: { kind: 'timeToLive', id: id.value, keys: withKeys },
    respond(result, remainingSeconds) {
      if (result.kind === 'failed') return failureAnswer('v1', result.failure);
      const { lease } = answerOf('timeToLive', result);
      if (lease === null || remainingSeconds === null) return failureAnswer('v1', { kind: 'leaseNotFound' });
      const list = lease.keys.map((key) => `{${bytesJson('key', key)}}`).join(',');
      const shown = withKeys ? `,"keys":[${list}]` : '';
      const times = `"ttl":${remainingSeconds},"granted_ttl":${lease.ttlSeconds}`;
      return jsonAnswer(`{"id":"${id.value}",${times}${shown},"revision":${result.revision}}`);
    },
  });
}

export function parseKeepAlive(request: ApiRequest, idText: string): Parsed<KeepAliveCall> {
  const refused = refuseQuery(request) ?? refuseBody(request);
  if (refused !== null) return refused;
  const id = parseId(idText);
  if (id.kind === 'bad') return id;
  return parsed({
    kind: 'keepAlive',
    protocol: 'v1',
    timeoutMs: null,
    query: { kind: 'keepAlive', id: id.value },
    respond(result) {
      if (result.kind === 'failed') return failureAnswer('v1', result.failure);
      const { ttlSeconds } = answerOf('keepAlive', result);
      if (ttlSeconds === null) return failureAnswer('v1', { kind: 'leaseNotFound' });
      const times = `"ttl":${ttlSeconds},"granted_ttl":${ttlSeconds}`;
      return jsonAnswer(`{"id":"${id.value}",${times},"revision":${result.revision}}`);
    },
  });
}
