// etcd's lock and election services: lock/*, election/*. Their errors are plain texts with code 2. A call that is one
// write or one read is parsed to that. A call that has to wait is a call of its own kind (`service-calls.ts`).
// `concurrency-calls.ts` makes the calls. Here they are read from JSON and answered in it.

import { leaseId, type LeaseId, noLease } from '../../model/brands.ts';
import { base64, emptyBytes } from '../../base/bytes.ts';
import type { KeyValue } from '../../model/store.ts';
import type { ResponseHeader } from '../contract.ts';
import type { LeaderKey } from '../queues.ts';
import {
  campaignCall,
  leaderCall,
  lockCall,
  observeCall,
  proclaimCall,
  resignCall,
  unlockCall,
} from './concurrency-calls.ts';
import { headerJson, keyValueJson } from './encode.ts';
import { bytes, int64, int64Exact, message, submessage } from './message.ts';
import { readBody } from './schema.ts';
import type { ParseUnary } from './unary.ts';
import { answer } from './unary.ts';

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

export const lock: ParseUnary = (scanner, facts) => {
  const request = readBody(lockRequest, scanner);
  if (request === null) return null;
  return lockCall(request, facts, (header, { key, revision }) => answer(header, revision, `,"key":"${base64(key)}"`));
};

export const unlock: ParseUnary = (scanner, facts) => {
  const request = readBody(unlockRequest, scanner);
  return request === null ? null : unlockCall(request, facts, answer);
};

export const campaign: ParseUnary = (scanner, facts) => {
  const request = readBody(campaignRequest, scanner);
  if (request === null) return null;
  const { name } = request;
  return campaignCall(request, facts, (header, { key, createRevision, lease, revision }) => {
    const shown = name.byteLength === 0 ? '' : `"name":"${base64(name)}",`;
    const leader = `${shown}"key":"${base64(key)}","rev":"${createRevision}","lease":"${lease}"`;
    return answer(header, revision, `,"leader":{${leader}}`);
  });
};

export const proclaim: ParseUnary = (scanner, facts) => {
  const request = readBody(proclaimRequest, scanner);
  return request === null ? null : proclaimCall(request, facts, answer);
};

export const resign: ParseUnary = (scanner, facts) => {
  const request = readBody(resignRequest, scanner);
  return request === null ? null : resignCall(request, facts, answer);
};

export const leader: ParseUnary = (scanner, facts) => {
  const request = readBody(nameRequest, scanner);
  if (request === null) return null;
  return leaderCall(request, facts, (header, kv) => answer(header, header.revision, `,"kv":${keyValueJson(kv)}`));
};

export const observe: ParseUnary = (scanner, facts) => {
  const request = readBody(nameRequest, scanner);
  return request === null ? null : observeCall(request, facts);
};

/** One message of observe, without its newline. */
export function observeMessage(header: ResponseHeader, kv: KeyValue): string {
  return `{"result":{${headerJson(header, header.revision)},"kv":${keyValueJson(kv)}}}`;
}
