import { describe, expect, it } from 'vitest';
import { protocolOf } from '../../../src/api/call.ts';
import { authErrors } from '../../../src/api/errors/auth-errors.ts';
import {
  failureAnswer,
  failureResponse,
  problemText,
  streamErrorText,
  writesToldBy,
} from '../../../src/api/errors/errors.ts';
import type { Failure } from '../../../src/api/errors/failures.ts';
import { groupErrors } from '../../../src/api/errors/group-errors.ts';
import { requestErrors } from '../../../src/api/errors/request-errors.ts';
import { serviceErrors } from '../../../src/api/errors/service-errors.ts';
import { storeErrors } from '../../../src/api/errors/store-errors.ts';
import { pathsNear } from '../../../src/api/routes.ts';
import { invalidKey } from '../../../src/tenants/identities.ts';
import { KeyRing } from '../../../src/tenants/key-text.ts';
import { Signatures } from '../../../src/tenants/signatures.ts';
import { etcdPaths } from '../wire.ts';
import { parseGrpcTimeout } from '../../../src/api/v3/timeout.ts';
import { parseTenantChange } from '../../../src/api/v1/tenants.ts';
import { utf8 } from '../../../src/base/bytes.ts';
import {
  authNameBytesMax,
  keyBytesMax,
  leaseSecondsMax,
  passwordBytesMax,
  peerUrlsBytesMax,
  rangeAnswerBytesMax,
  requestBodyBytesMax,
  requestTimeoutMs,
  txnOperationsMax,
  valueBytesMax,
} from '../../../src/limits.ts';
import { all } from './failure-samples.ts';
import { failureTexts } from './failure-texts.ts';
import { answerFaults, problemFaults } from '../../support/openapi-checker.ts';
import { call, callOf, header, problemOf, refusal } from '../wire.ts';

async function detailOf(failure: Failure): Promise<string> {
  return (await problemOf(failureResponse('v1', failure))).detail;
}

async function refusedWith(target: string, body: string): Promise<string> {
  return (await refusal(target, { body })).detail;
}

const formOf = (text: string): unknown => invalidKey(text, (other) => other === 'operator');

describe('the map of failures', () => {
  it('API-ERR-1: in v1 every failure is a problem with its status, a name of its own and a detail', async () => {
    const slugs = new Set<string>();
    for (const failure of Object.values(all)) {
      const problem = await problemOf(failureResponse('v1', failure));
      expect(problem.status).toBeGreaterThanOrEqual(400);
      expect(problem.slug, failure.kind).toMatch(/^[a-z]+(-[a-z]+)*$/);
      expect(problem.detail.length).toBeGreaterThan(0);
      slugs.add(problem.slug);
    }
    // A key that does not exist is one problem, whichever call found it. So is an access key that is not allowed to do
    // something.
    expect(slugs.size).toBe(Object.keys(all).length - 2);
    // No kind stands in two of the tables, where the second one would hide the first.
    const told = [storeErrors, authErrors, groupErrors, serviceErrors, requestErrors].flatMap(Object.keys);
    expect(told.toSorted()).toEqual(
      Object.values(all)
        .map(({ kind }) => kind)
        .toSorted(),
    );
    expect(JSON.parse(problemText(all.compacted))).toMatchObject({ status: 410, compacted_revision: 5 });
  });

  it('API-ERR-5: the document describes the status, the headers and the members of each problem', async () => {
    for (const failure of Object.values(all)) {
      expect(await problemFaults(failureResponse('v1', failure)), failure.kind).toEqual([]);
    }
  });

  it('API-ERR-6: each kind of failure has its sentence', async () => {
    const said = await Promise.all(
      Object.values(all).map(async (failure) => [
        failure.kind,
        (await problemOf(failureResponse('v1', failure))).detail,
      ]),
    );
    expect(Object.fromEntries(said)).toEqual(failureTexts);
  });

  it('API-ERR-7: where something is beyond a limit, the sentence has the number of the limit', async () => {
    const limits: Partial<Record<Failure['kind'], number>> = {
      keyNotProvided: keyBytesMax,
      keyTooLong: keyBytesMax,
      valueTooLarge: valueBytesMax,
      tooManyOperations: txnOperationsMax,
      answerTooLarge: rangeAnswerBytesMax,
      leaseTtlTooLarge: leaseSecondsMax,
      nameTooLong: authNameBytesMax,
      passwordTooLong: passwordBytesMax,
      memberUrlsInvalid: peerUrlsBytesMax,
      timeout: requestTimeoutMs / 1000,
      tooFewReplicas: 3,
    };
    for (const [kind, limit] of Object.entries(limits)) {
      const failure = Object.values(all).find((one) => one.kind === kind);
      expect(failureTexts[failure?.kind ?? 'internal'], kind).toMatch(new RegExp(`\\b${limit}\\b`));
    }
    // These failures carry their limit with them.
    for (const failure of Object.values(all)) {
      const carried = 'max' in failure ? failure.max : 'bytesMax' in failure ? failure.bytesMax : null;
      if (carried !== null) expect(failureTexts[failure.kind], failure.kind).toContain(String(carried));
    }
  });

  it('API-ERR-8: a key that was sent for the operator’s token, and the reverse, are told what they are', async () => {
    expect(await detailOf({ kind: 'accessKeyInvalid', given: 'operatorToken' })).toContain("is the operator's token");
    expect(await detailOf({ kind: 'operatorTokenInvalid', given: 'accessKey' })).toContain('is an access key');
    expect(await detailOf({ kind: 'operatorTokenInvalid', given: 'nothing' })).toContain('Authorization: Bearer');
  });

  it('API-ERR-11: a part of a key, and another scheme, are told so; nothing is told of any tenant', async () => {
    expect(await detailOf({ kind: 'accessKeyInvalid', given: 'cutKey' })).toContain('it looks cut');
    expect(await detailOf({ kind: 'accessKeyInvalid', given: 'otherScheme' })).toContain('Authorization: Bearer <key>');
    const keys = new KeyRing(new Signatures('a secret of the tests'));
    const key = keys.issue({ tenant: 'tenant', keyId: 'id' });
    expect(formOf('operator')).toEqual({ kind: 'accessKeyInvalid', given: 'operatorToken' });
    for (const cut of [key.slice(0, -1), key.slice(0, 20), 'qrt_', `${key}x`]) {
      expect(formOf(cut)).toEqual({ kind: 'accessKeyInvalid', given: 'cutKey' });
    }
    expect(formOf(`Token ${key}`)).toEqual({ kind: 'accessKeyInvalid', given: 'otherScheme' });
    // A key of another service has the form of one: whose it is, or was, is not told.
    const other = new KeyRing(new Signatures('another secret of the tests')).issue({ tenant: 'tenant', keyId: 'id' });
    expect(formOf(other)).toEqual({ kind: 'accessKeyInvalid', given: 'other' });
  });

  it('API-ERR-12: a 404 names the key and the revision that was read, or the paths near a path that does not exist', async () => {
    const absent = { kind: 'keyAbsent', key: utf8('config/size'), revision: 9 } as const;
    expect(await detailOf({ ...absent, asked: 0 })).toBe(
      'The key "config/size" does not exist; the store is at revision 9.',
    );
    expect(await detailOf({ ...absent, asked: 7 })).toContain('"config/size" did not exist at revision 7');
    expect(pathsNear('/v1/locks')).toEqual(['/v1/locks/{name}']);
    expect(pathsNear('/v1/locks/')).toEqual(['/v1/locks/{name}']);
    expect(pathsNear('/v1/status/')).toEqual(['/v1/status']);
    expect(pathsNear('/v1/nothing')).toEqual([]);
    const near = pathsNear('/v1/locks');
    expect(await detailOf({ kind: 'notFound', near })).toContain('near it there is /v1/locks/{name}.');
  });

  it('API-ERR-13: a 403 outside of the prefix of a key names the prefix of that key', async () => {
    const need = 'write outside of its prefix';
    expect(await detailOf({ kind: 'forbidden', need, prefix: utf8('app/') })).toBe(
      'The caller lacks: write outside of its prefix "app/".',
    );
  });

  it('API-ERR-9: an empty body is told the fields, an unknown field the known ones, and what is wrong goes before what is missing', async () => {
    expect(await refusedWith('POST /v1/leases', '')).toBe('the body is empty: send a JSON object, with ttl');
    expect(await refusedWith('POST /v1/locks/a', ' \n')).toBe(
      'the body is empty: send a JSON object, with wait, ttl, lease',
    );
    expect(await refusedWith('POST /v1/locks/a', '{"tll":5}')).toBe('unknown field "tll"; known are wait, ttl, lease');
    expect(await refusedWith('POST /v1/txn', '{"then":[{"putt":{}}]}')).toBe(
      'unknown field "then[0].putt"; known are put, get, delete, txn',
    );
    expect(await refusedWith('POST /v1/leases/5/keepalive', '{"ttl":5}')).toBe(
      'unknown field "ttl"; no field is taken here',
    );
    expect(await refusedWith('POST /v1/locks/a', '{}')).toBe('one of ttl and lease is missing');
    const changed = parseTenantChange(utf8('{"size":"paused"}'));
    expect(changed).toMatchObject({
      failure: { detail: 'unknown field "size"; known are name, labels, state, plan, retention, limits' },
    });
    expect((await refusal('GET /v1/kv?keys=1')).detail).toMatch(
      /^unknown query parameter "keys"; this call takes prefix,/,
    );
    expect((await refusal('GET /v1/status?x')).detail).toBe('unknown query parameter "x"; this call takes none');
  });

  it('API-ERR-2: in v3 the status follows from the code, and the message stands under both names', async () => {
    const http: Record<number, number> = {
      2: 500,
      3: 400,
      4: 504,
      5: 404,
      6: 409,
      7: 403,
      8: 429,
      9: 400,
      11: 400,
      12: 501,
      13: 500,
      14: 503,
      15: 500,
      16: 401,
    };
    for (const failure of Object.values(all)) {
      const response = failureResponse('v3', failure);
      const body = await response.json<{ error: string; code: number; message: string }>();
      expect(body.error).toBe(body.message);
      expect(response.status, failure.kind).toBe(http[body.code]);
      const { error } = JSON.parse(streamErrorText(failure)) as { error: Record<string, unknown> };
      expect(error).toMatchObject({
        code: body.code,
        grpc_code: body.code,
        message: body.message,
        http_code: response.status,
      });
    }
  });

  it('API-ERR-3: a store’s failures have etcd’s words', async () => {
    const words: [Failure, number, string][] = [
      [all.keyNotProvided, 3, 'etcdserver: key is not provided'],
      [all.valueProvided, 3, 'etcdserver: value is provided'],
      [all.leaseProvided, 3, 'etcdserver: lease is provided'],
      [all.keyNotFound, 3, 'etcdserver: key not found'],
      [all.leaseNotFound, 5, 'etcdserver: requested lease not found'],
      [all.tooManyOperations, 3, 'etcdserver: too many operations in txn request'],
      [all.duplicateKey, 3, 'etcdserver: duplicate key given in txn request'],
      [all.invalidSortOption, 3, 'etcdserver: invalid sort option'],
      [all.compacted, 11, 'etcdserver: mvcc: required revision has been compacted'],
      [all.futureRevision, 11, 'etcdserver: mvcc: required revision is a future revision'],
      [all.noSpace, 8, 'etcdserver: mvcc: database space exceeded'],
      [all.valueTooLarge, 3, 'etcdserver: request is too large'],
      [all.forbidden, 7, 'etcdserver: permission denied'],
    ];
    for (const [failure, code, message] of words) {
      expect(await failureResponse('v3', failure).json()).toEqual({ error: message, code, message });
      const read = callOf('read', 'POST /v3/kv/range');
      if (failure === all.compacted)
        expect(read.respond({ kind: 'failed', failure: all.compacted }, header).toResponse().status).toBe(400);
    }
  });

  it('API-ERR-14: a write whose outcome is unknown is not to be sent again: 409, and what etcd’s clients know', async () => {
    const v1 = failureResponse('v1', all.outcomeUnknown);
    expect([v1.status, v1.headers.get('retry-after')]).toEqual([409, null]);
    expect((await problemOf(v1)).detail).toContain('before you write again');
    const v3 = failureResponse('v3', all.outcomeUnknown);
    expect([v3.status, v3.headers.get('retry-after')]).toEqual([503, null]);
    expect(await v3.json()).toMatchObject({ code: 14, message: 'etcdserver: request timed out' });
    for (const response of [failureResponse('v1', all.outcomeUnknown), failureAnswer('v3', all.outcomeUnknown)]) {
      expect(writesToldBy(response)).toBe(all.outcomeUnknown.writes);
    }
    expect(writesToldBy(failureResponse('v1', all.timeout))).toBeNull();
  });

  it('API-ERR-4: a 401 names a way in; what will pass says when to come again; 405 says what is allowed', () => {
    for (const protocol of ['v1', 'v3'] as const) {
      for (const failure of [
        all.accessKeyMissing,
        all.accessKeyInvalid,
        all.unauthenticated,
        all.operatorTokenInvalid,
      ]) {
        const response = failureResponse(protocol, failure);
        expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="quorate"']);
      }
      for (const failure of [
        all.overloaded,
        all.noLeader,
        all.leaderChanged,
        all.directoryUnavailable,
        all.deletionUnfinished,
      ]) {
        expect(failureResponse(protocol, failure).headers.get('retry-after')).toBe('1');
      }
    }
    expect(failureResponse('v1', all.methodNotAllowed).headers.get('allow')).toBe('GET, PUT');
  });
});

function bodyOf(bytes: number): { readonly body: string } {
  return { body: `{"key":"Zm9v"}${' '.repeat(bytes - 14)}` };
}

describe('paths and methods', () => {
  it('API-PATH-1: v1 answers 404 to an unknown path and 405 with Allow to another method', async () => {
    for (const path of [
      '/',
      '/v1',
      '/v1/',
      '/v1/kvx',
      '/v1/txn/',
      '/v2/kv',
      '/v1/watch/x',
      '/v1/leased',
      '/v3',
      '/v3x/kv/put',
    ]) {
      expect(await refusal(`GET ${path}`), path).toMatchObject({ status: 404, slug: 'not-found' });
    }
    const methods: [string, string][] = [
      ['POST /v1/kv/a', 'GET, HEAD, PUT, DELETE'],
      ['PUT /v1/kv', 'GET, DELETE'],
      ['GET /v1/txn', 'POST'],
      ['POST /v1/watch', 'GET'],
      ['DELETE /v1/status', 'GET'],
    ];
    for (const [target, allow] of methods) {
      const problem = await refusal(target);
      expect([problem.status, problem.headers.get('allow')], target).toEqual([405, allow]);
    }
  });

  it('API-PATH-2: v3 knows all of etcd’s paths, takes POST alone on them, and upgrades', async () => {
    expect(etcdPaths.length).toBe(51);
    const body = '{"leader":{},"peerURLs":["http://192.0.2.1:2380"]}';
    for (const path of etcdPaths) {
      expect(call(`POST ${path}`, { body }).kind, path).not.toBe('refused');
      expect(await callOf('refused', `GET ${path}`).response.json()).toMatchObject({ message: 'Method Not Allowed' });
      expect(callOf('refused', `PUT ${path}`).response.status).toBe(501);
      expect(callOf('refused', `POST ${path}/`).response.status).toBe(404);
      expect(call(`GET ${path}`, { headers: { upgrade: 'websocket' } })).toMatchObject({ protocol: 'v3' });
    }
    expect(['/v3/kv/put', '/v3beta/x', '/health', '/livez/serializable_read', '/version'].map(protocolOf)).toEqual(
      Array.from({ length: 5 }, () => 'v3'),
    );
    expect(['/v1/kv', '/v3', '/', '/livez/none', '/versions'].map(protocolOf)).toEqual(
      Array.from({ length: 5 }, () => 'v1'),
    );
  });

  it('API-PATH-3: a body may be as large as the limit and no larger', async () => {
    expect(call('POST /v3/kv/put', bodyOf(requestBodyBytesMax)).kind).toBe('write');
    expect(callOf('refused', 'POST /v3/kv/put', bodyOf(requestBodyBytesMax + 1)).response.status).toBe(429);
    expect(callOf('refused', 'POST /v3/kv/range', bodyOf(requestBodyBytesMax + 1)).response.status).toBe(429);
    expect((await refusal('POST /v1/txn', bodyOf(requestBodyBytesMax + 1))).status).toBe(413);
  });

  it('API-PATH-4: GET /v1/status answers the report', async () => {
    const report = {
      leader: 1,
      term: 2,
      commitIndex: 3,
      appliedIndex: 3,
      revision: 4,
      compactedRevision: -1,
      keys: 6,
      databaseBytes: 5,
      version: '1',
      level: 2,
      logEntries: 3,
      logBytes: 70,
      commandsUndone: 1,
      alarms: [{ alarm: 'CORRUPT', replica: 1 }],
      replicas: [
        { id: 1, location: 'weur', role: 'leader', match: 3, state: 'rebuilding', diverged_at: 2, replaces: null },
      ],
    } as const;
    const answer = callOf('status', 'GET /v1/status').respond(report).toResponse();
    expect(await answerFaults({ method: 'GET', path: '/v1/status' }, answer)).toEqual([]);
    expect(await answer.json()).toMatchObject({
      leader: 1,
      commit_index: 3,
      applied_index: 3,
      compacted_revision: -1,
      keys: 6,
      database_bytes: 5,
      level: 2,
      log_entries: 3,
      log_bytes: 70,
      commands_undone: 1,
      alarms: report.alarms,
      replicas: report.replicas,
    });
    expect((await refusal('GET /v1/status?x=1')).status).toBe(400);
  });
});

function timeoutOf(text: string): number | string {
  const timeout = parseGrpcTimeout(text);
  return timeout.kind === 'after' ? timeout.timeoutMs : timeout.kind;
}

describe('Grpc-Timeout', () => {
  it('API-V3-30: a count of 64 bits and a unit; 0 is none; a negative one has passed', () => {
    expect(['10S', '2H', '3M', '7m', '2500u', '1n', '+5S'].map(timeoutOf)).toEqual([
      10_000, 7_200_000, 180_000, 7, 3, 1, 5_000,
    ]);
    expect(['0S', '-1S', '-0S'].map(timeoutOf)).toEqual(['none', 'passed', 'none']);
    for (const bad of ['soon', 'S', '10', '1.5S', '10s', ' 1S', '9223372036854775808S', '1SS', '0x1S']) {
      expect(parseGrpcTimeout(bad), bad).toEqual({ kind: 'malformed', detail: `invalid grpc-timeout: ${bad}` });
    }
    expect(parseGrpcTimeout(null).kind).toBe('none');
    const timed = callOf('write', 'POST /v3/kv/put', { headers: { 'grpc-timeout': '3S' } });
    expect(timed.timeoutMs).toBe(3_000);
    expect(callOf('refused', 'POST /v3/kv/put', { headers: { 'grpc-timeout': '-3S' } }).response.status).toBe(504);
  });
});
