// etcd's leases: grant, revoke, timetolive, leases, and the messages of the keepalive stream.

import { Buffer } from 'node:buffer';
import { assert } from '../../base/assert.ts';
import { leaseId, type LeaseId, noLease } from '../../model/brands.ts';
import { base64 } from '../../base/bytes.ts';
import { requestBodyBytesMax } from '../../limits.ts';
import type { ResponseHeader } from '../contract.ts';
import { byteString, Scanner } from '../json/scanner.ts';
import { answerOf } from '../query-answer.ts';
import { headerJson } from './encode.ts';
import { bool, int64, int64Exact, message } from './message.ts';
import { readBody } from './schema.ts';
import type { ParseUnary } from './unary.ts';
import { answer, failKept, queryCall, writeCall } from './unary.ts';

const grantRequest = message<{ ttlSeconds: number; id: LeaseId }>(() => ({ ttlSeconds: 0, id: noLease }), {
  TTL: int64((into, value) => (into.ttlSeconds = value)),
  ID: int64Exact((into, value) => (into.id = leaseId(value))),
});

const idRequest = message<{ id: LeaseId }>(() => ({ id: noLease }), {
  ID: int64Exact((into, value) => (into.id = leaseId(value))),
});

const timeToLiveRequest = message<{ id: LeaseId; keys: boolean }>(() => ({ id: noLease, keys: false }), {
  ID: int64Exact((into, value) => (into.id = leaseId(value))),
  keys: bool((into, value) => (into.keys = value)),
});

const noFields = message<object>(() => ({}), {});

function idField(id: LeaseId): string {
  return id === noLease ? '' : `,"ID":"${id}"`;
}

function secondsField(name: 'TTL' | 'grantedTTL', seconds: number): string {
  return seconds === 0 ? '' : `,"${name}":"${seconds}"`;
}

/** The replica fills in `candidate`, because nothing in a parser is random. */
export const grant: ParseUnary = (scanner, facts) => {
  const request = readBody(grantRequest, scanner);
  if (request === null) return null;
  const { id, ttlSeconds } = request;
  return writeCall(
    facts,
    { kind: 'leaseGrant', id, ttlSeconds, candidate: noLease },
    {
      fields(outcome) {
        assert(outcome.kind === 'leaseGrant', 'a grant answers as one');
        return idField(outcome.id) + secondsField('TTL', outcome.ttlSeconds);
      },
    },
  );
};

export const revoke: ParseUnary = (scanner, facts) => {
  const request = readBody(idRequest, scanner);
  return request === null ? null : writeCall(facts, { kind: 'leaseRevoke', id: request.id });
};

export const timeToLive: ParseUnary = (scanner, facts) => {
  const request = readBody(timeToLiveRequest, scanner);
  if (request === null) return null;
  return {
    kind: 'timeToLive',
    protocol: 'v3',
    timeoutMs: facts.timeoutMs,
    query: { kind: 'timeToLive', ...request },
    respond(result, remainingSeconds, header) {
      if (result.kind === 'failed') return failKept(result.failure);
      const { id, lease } = answerOf('timeToLive', result);
      if (lease === null || remainingSeconds === null) {
        return answer(header, result.revision, `${idField(id)}${secondsField('TTL', -1)}`);
      }
      const times = secondsField('TTL', remainingSeconds) + secondsField('grantedTTL', lease.ttlSeconds);
      const keys = lease.keys.map((key) => `"${base64(key)}"`).join(',');
      return answer(header, result.revision, idField(id) + times + (keys === '' ? '' : `,"keys":[${keys}]`));
    },
  };
};

export const leases: ParseUnary = (scanner, facts) => {
  if (readBody(noFields, scanner) === null) return null;
  return queryCall(facts, { kind: 'leases' }, ({ ids }) =>
    ids.length === 0 ? '' : `,"leases":[${ids.map((id) => `{"ID":"${id}"}`).join(',')}]`,
  );
};

export type KeepAliveRequest =
  | { readonly kind: 'keepAlive'; readonly id: LeaseId }
  | { readonly kind: 'malformed'; readonly detail: string };

/**
 * Decodes one message of a keepalive stream: a whole frame of a WebSocket, or what `MessageSplitter` cuts out of a
 * body.
 */
export function decodeKeepAlive(frame: Uint8Array | string): KeepAliveRequest {
  const bytes = typeof frame === 'string' ? Buffer.from(frame, 'utf8') : frame;
  if (bytes.byteLength > requestBodyBytesMax) {
    return { kind: 'malformed', detail: `a keepalive has at most ${requestBodyBytesMax} bytes` };
  }
  const scanner = new Scanner(byteString(bytes));
  const request = readBody(idRequest, scanner);
  return request === null
    ? { kind: 'malformed', detail: scanner.fault ?? 'not a message' }
    : { kind: 'keepAlive', id: request.id };
}

/**
 * The answer to one keepalive, without its newline. `ttlSeconds` is null where there is no such lease, which is not an
 * error.
 */
export function keepAliveMessage(header: ResponseHeader, id: LeaseId, ttlSeconds: number | null): string {
  const fields = idField(id) + secondsField('TTL', ttlSeconds ?? 0);
  return `{"result":{${headerJson(header, header.revision)}${fields}}}`;
}
