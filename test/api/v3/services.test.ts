import { describe, expect, it } from 'vitest';
import { parseCall } from '../../../src/api/call.ts';
import type { ApiCall } from '../../../src/api/contract.ts';
import type { Failure } from '../../../src/api/errors/failures.ts';
import { decodeKeepAlive, keepAliveMessage } from '../../../src/api/v3/lease.ts';
import { observeMessage } from '../../../src/api/v3/concurrency.ts';
import { etcdPrefixes } from '../../../src/api/routes.ts';
import { requestBodyBytesMax } from '../../../src/limits.ts';
import { revision } from '../../../src/model/brands.ts';
import type { StoreFailure } from '../../../src/model/store.ts';
import { Concrete } from './concrete.ts';
import { answerLike, expectedCall } from './naive-services.ts';
import type { Plain } from './naive-v3.ts';
import { event } from './naive-v3.ts';
import { corpusFiles, requestOf, steps } from './recording.ts';
import { header } from '../wire.ts';

const withBytes = (bytes: number): string => `{"x":"${'x'.repeat(bytes - '{"x":""}'.length)}"}`;
const ids = { cluster_id: '11', member_id: '12', raft_term: '3' };
const files = corpusFiles(/^(auth-|lease|lock|election|maintenance|members|alarms|documentation|http-edges|random-)/);

type Recorded = {
  readonly place: string;
  readonly path: string;
  readonly json: Plain;
  readonly call: ApiCall;
  readonly status: number;
  readonly answer: Plain;
  readonly headers: Readonly<Record<string, string>>;
};

/** Numbers that JSON.parse would round stand as strings. */
function quoted(text: string): string {
  return text === '' ? '{}' : text.replaceAll(/:(\d{16,})/g, ':"$1"');
}

/**
 * Every recorded call other than kv and watch that has an answer of its own, with the values captured before it filled
 * in.
 */
function recordedCalls(): Recorded[] {
  return files.flatMap((file) => {
    const concrete = new Concrete();
    return steps(file).flatMap(({ place, step: { call, answer } }): Recorded[] => {
      if (call === undefined || answer?.json === undefined) return [];
      const json = concrete.of(call.json ?? JSON.parse(quoted(call.body ?? '')));
      const shown = concrete.of(answer.json) as Plain;
      const path = call.path.split('?')[0] ?? '';
      const isOther = /^\/v3(beta)?\/(?!kv\/(?!lease)|watch)/.test(path) && (call.method ?? 'POST') === 'POST';
      if (!isOther || shown['message'] === 'Not Found') return [];
      const text = call.json === undefined ? (concrete.of(call.body ?? '') as string) : JSON.stringify(json);
      const request = { place, method: 'POST', path: call.path, headers: {}, text, status: 0, answer: null };
      const parsed = parseCall(requestOf(request));
      const headers = (answer as { headers?: Record<string, string> }).headers ?? {};
      return [{ place, path, json: json as Plain, call: parsed, status: answer.status, answer: shown, headers }];
    });
  });
}

const recorded = recordedCalls();

describe('calls beside kv, as they were recorded', () => {
  it('API-V3-40: each is decoded as its message says', () => {
    const paths = new Set<string>();
    for (const { place, path, json, call } of recorded) {
      if (call.kind === 'refused') continue;
      paths.add(path.replace('v3beta', 'v3'));
      expect(call, place).toMatchObject(expectedCall(path, json));
    }
    expect(paths.size).toBeGreaterThanOrEqual(41);
    expect(recorded.length).toBeGreaterThan(1_000);
  });

  it('API-V3-41: what etcd answered is encoded as etcd encodes it', async () => {
    const taken = recorded.filter(({ status }) => status === 200);
    expect(taken.length).toBeGreaterThan(700);
    for (const { place, path, call, answer } of taken) {
      const response = answerLike(call, path, answer);
      expect(response.status, place).toBe(200);
      expect(response.headers.get('content-type'), place).toBe('application/json');
      const body = await response.json<Plain>();
      const shown = answer['header'] === undefined ? {} : { header: { ...(answer['header'] as Plain), ...ids } };
      const raftTerm = answer['raftTerm'] === undefined ? {} : { raft_term: answer['raftTerm'] };
      if (answer['raftTerm'] !== undefined) Object.assign(shown.header ?? {}, raftTerm);
      expect(body, place).toEqual({ ...answer, ...shown });
    }
  });
});

const words: Readonly<Record<string, Failure>> = {
  'etcdserver: permission denied': { kind: 'permissionDenied' },
  'etcdserver: requested lease not found': { kind: 'leaseNotFound' },
  'etcdserver: lease already exists': { kind: 'leaseExists' },
  'etcdserver: too large lease TTL': { kind: 'leaseTtlTooLarge' },
  'etcdserver: key is not provided': { kind: 'keyNotProvided' },
  'etcdserver: mvcc: required revision has been compacted': { kind: 'compacted', compactedRevision: 5 },
  'etcdserver: mvcc: required revision is a future revision': { kind: 'futureRevision', revision: 5 },
  'etcdserver: mvcc: database space exceeded': { kind: 'noSpace' },
  'etcdserver: corrupt cluster': { kind: 'corruptAlarm' },
  'etcdserver: user name is empty': { kind: 'userNameEmpty' },
  'etcdserver: invalid auth token': { kind: 'invalidToken' },
  'etcdserver: role is not granted to the user': { kind: 'roleNotGranted' },
  'etcdserver: invalid auth management': { kind: 'invalidAuthManagement' },
  'etcdserver: permission is not granted to the role': { kind: 'permissionNotGranted' },
  'etcdserver: permission not given': { kind: 'permissionNotGiven' },
  'etcdserver: user name not found': { kind: 'userNotFound' },
  'etcdserver: user name already exists': { kind: 'userExists' },
  'etcdserver: role name not found': { kind: 'roleNotFound' },
  'etcdserver: role name already exists': { kind: 'roleExists' },
  'etcdserver: role name is empty': { kind: 'roleNameEmpty' },
  'etcdserver: authentication is not enabled': { kind: 'authNotEnabled' },
  'etcdserver: root user does not exist': { kind: 'rootUserMissing' },
  'etcdserver: root user does not have root role': { kind: 'rootRoleMissing' },
  'etcdserver: authentication failed, invalid user ID or password': { kind: 'authenticationFailed' },
  'auth: authentication failed, password was given for no password user': { kind: 'userWithoutPassword' },
  'etcdserver: cluster has a downgrade job in progress': { kind: 'downgradeInProgress' },
  'etcdserver: member not found': { kind: 'memberNotFound' },
  'etcdserver: given member URLs are invalid': { kind: 'memberUrlsInvalid' },
  'etcdserver: Peer URLs already exists': { kind: 'peerUrlsExist' },
  'etcdserver: too many learner members in cluster': { kind: 'tooManyLearners' },
  'etcdserver: can only promote a learner member': { kind: 'memberNotLearner' },
  'etcdserver: can only promote a learner member which is in sync with leader': { kind: 'learnerNotReady' },
  'etcdserver: bad leader transferee': { kind: 'badTransferee' },
  'etcdserver: invalid downgrade target version': { kind: 'downgradeTargetInvalid' },
  'etcdserver: wrong downgrade target version format': { kind: 'downgradeFormatWrong' },
  'etcdserver: unknown method': { kind: 'unknownMethod' },
  'election: no leader': { kind: 'electionNoLeader' },
  'election: not leader': { kind: 'notElectionLeader' },
  'mutex: session is expired': { kind: 'sessionExpired' },
};

function failed(call: ApiCall, failure: Failure): Response {
  const outcome = { kind: 'failed', revision: revision(9), failure: failure as StoreFailure } as const;
  switch (call.kind) {
    case 'refused':
      return call.response;
    case 'write':
    case 'password':
      return call.respond(outcome, header).toResponse();
    case 'sessionWrite': {
      if (failure.kind !== 'notElectionLeader') return call.respond(outcome, header).toResponse();
      const answer = { succeeded: false, parts: [] };
      return call.respond({ kind: 'txn', revision: revision(9), answer }, header).toResponse();
    }
    case 'read': {
      if (failure.kind !== 'electionNoLeader') return call.respond(outcome, header).toResponse();
      return call.respond({ kind: 'answer', answer: { kvs: [], more: false, count: 0 } }, header).toResponse();
    }
    case 'query':
      return call.respond(outcome, header).toResponse();
    case 'timeToLive':
      return call.respond(outcome, null, header).toResponse();
    case 'authenticate':
    case 'lock':
    case 'campaign':
    case 'etcdStatus':
    case 'downgrade':
    case 'memberList':
    case 'memberChange':
      return call.respond({ kind: 'failed', failure }, header).toResponse();
    case 'defragment':
    case 'transferLeadership':
      return call.respond({ kind: 'failed', failure }).toResponse();
    case 'acquire':
    case 'answered':
    case 'frames':
    case 'health':
    case 'keepAlive':
    case 'keepAliveStream':
    case 'observe':
    case 'release':
    case 'dump':
    case 'session':
    case 'status':
    case 'watch':
    default:
      throw new Error(call.kind);
  }
}

describe('calls beside kv that etcd refused', () => {
  it('API-V3-42: have etcd’s status, code and words; of locks and elections always code 2', async () => {
    const refused = recorded.filter(({ status }) => status !== 200);
    expect(refused.length).toBeGreaterThan(400);
    for (const { place, call, status, answer, headers } of refused) {
      const message = String(answer['message']);
      const failure = words[message];
      if (failure === undefined && call.kind !== 'refused') throw new Error(`${place}: ${message}`);
      const response = failed(call, failure ?? { kind: 'internal' });
      expect(response.status, place).toBe(status);
      expect(await response.json(), place).toEqual({ ...answer, error: message });
      expect(response.headers.get('www-authenticate'), place).toBe(headers['www-authenticate'] ?? null);
    }
  });
});

describe('streams of leases and elections', () => {
  it('API-V3-43: messages are read and written as etcd does', () => {
    let seen = 0;
    for (const file of corpusFiles(/^(auth-lease|lease-keepalive|alarms|election)\.jsonl$/)) {
      const concrete = new Concrete();
      const asked = new Map<string, string>();
      for (const { place, step } of steps(file)) {
        if (step.send !== undefined) {
          expect(decodeKeepAlive(step.body ?? JSON.stringify(step.json)).kind, place).toBe('keepAlive');
          asked.set(step.send, place);
        }
        for (const message of step.messages ?? []) {
          const { result } = concrete.of(message) as { result?: Plain };
          if (result === undefined || result['created'] === true) continue;
          const shown = { ...header, revision: Number((result['header'] as Plain)['revision']) };
          const kv = result['kv'] as Plain | undefined;
          const request = decodeKeepAlive(JSON.stringify(result));
          if (request.kind !== 'keepAlive') throw new Error(place);
          const ttl = result['TTL'] === undefined ? null : Number(result['TTL']);
          const text =
            kv === undefined ? keepAliveMessage(shown, request.id, ttl) : observeMessage(shown, event({ kv }).kv);
          const expected = { result: { ...result, header: { ...(result['header'] as Plain), ...ids } } };
          expect(JSON.parse(text), place).toEqual(expected);
          seen++;
        }
      }
    }
    expect(seen).toBeGreaterThan(25);
  });

  it('API-V3-43: a keepalive that is no message is malformed', () => {
    for (const text of ['', '{}', '{"ID":"-5"}', '{"ID":9007199254740993,"more":[1]}']) {
      expect(decodeKeepAlive(text).kind, text).toBe('keepAlive');
    }
    expect(decodeKeepAlive('{"ID":9007199254740993}')).toEqual({ kind: 'keepAlive', id: 9_007_199_254_740_993n });
    expect(decodeKeepAlive(withBytes(requestBodyBytesMax)).kind).toBe('keepAlive');
    for (const text of ['7', '{"ID":true}', '{"ID":1', '{"ID":1,"ID":2}', withBytes(requestBodyBytesMax + 1)]) {
      expect(decodeKeepAlive(text).kind, text.slice(0, 20)).toBe('malformed');
    }
  });

  it('API-V3-43: observe and snapshot are calls whose failures are messages', () => {
    const observe = parseCall({
      method: 'POST',
      path: '/v3/election/observe',
      query: '',
      headers: new Headers(),
      body: new Uint8Array(),
    });
    if (observe.kind !== 'observe') throw new Error(observe.kind);
    expect(observe.failed({ kind: 'permissionDenied' })).toMatchObject({ status: 500 });
    const snapshot = parseCall({
      method: 'POST',
      path: '/v3/maintenance/snapshot',
      query: '',
      headers: new Headers(),
      body: new Uint8Array(),
    });
    if (snapshot.kind !== 'dump') throw new Error(snapshot.kind);
    const { status, text } = snapshot.failed({ kind: 'invalidToken' });
    expect([status, JSON.parse(text)]).toMatchObject([
      401,
      { error: { code: 16, message: 'etcdserver: invalid auth token' } },
    ]);
  });
});

it('API-V3-40: all recorded paths are known', () => {
  for (const { place, path } of recorded)
    expect(
      etcdPrefixes.some((prefix) => path.startsWith(prefix)),
      place,
    ).toBe(true);
});
