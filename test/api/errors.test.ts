import { describe, expect, it } from 'vitest';
import { protocolOf } from '../../src/api/call.ts';
import { failureResponse, problemText, streamErrorText } from '../../src/api/errors.ts';
import type { Failure } from '../../src/api/failures.ts';
import { v3Paths } from '../../src/api/v3/paths.ts';
import { parseGrpcTimeout } from '../../src/api/v3/timeout.ts';
import { requestBodyBytesMax } from '../../src/limits.ts';
import { answerFaults, problemFaults } from '../support/openapi-checker.ts';
import { call, callOf, header, problemOf, refusal } from './wire.ts';

/** One of each kind; the type makes the list complete. */
const all: { readonly [Kind in Failure['kind']]: Failure & { readonly kind: Kind } } = {
  leaseExists: { kind: 'leaseExists' },
  leaseTtlTooLarge: { kind: 'leaseTtlTooLarge' },
  corruptAlarm: { kind: 'corruptAlarm' },
  authNotEnabled: { kind: 'authNotEnabled' },
  rootUserMissing: { kind: 'rootUserMissing' },
  rootRoleMissing: { kind: 'rootRoleMissing' },
  userNameEmpty: { kind: 'userNameEmpty' },
  userExists: { kind: 'userExists' },
  userNotFound: { kind: 'userNotFound' },
  roleNameEmpty: { kind: 'roleNameEmpty' },
  roleExists: { kind: 'roleExists' },
  roleNotFound: { kind: 'roleNotFound' },
  roleNotGranted: { kind: 'roleNotGranted' },
  permissionNotGiven: { kind: 'permissionNotGiven' },
  permissionNotGranted: { kind: 'permissionNotGranted' },
  invalidAuthManagement: { kind: 'invalidAuthManagement' },
  authenticationFailed: { kind: 'authenticationFailed' },
  userWithoutPassword: { kind: 'userWithoutPassword' },
  invalidToken: { kind: 'invalidToken' },
  permissionDenied: { kind: 'permissionDenied' },
  downgradeInProgress: { kind: 'downgradeInProgress' },
  lockHeld: { kind: 'lockHeld', fencingToken: 5, waiting: 2, revision: 9 },
  limitDiffers: { kind: 'limitDiffers', limit: 3 },
  electionNoLeader: { kind: 'electionNoLeader' },
  notElectionLeader: { kind: 'notElectionLeader' },
  leaderKeyMissing: { kind: 'leaderKeyMissing' },
  sessionExpired: { kind: 'sessionExpired' },
  nameInUse: { kind: 'nameInUse', key: new Uint8Array([0x61, 0x2f, 0xff]) },
  lockNotHeld: { kind: 'lockNotHeld' },
  fencingTokenDiffers: { kind: 'fencingTokenDiffers', current: 12, revision: 15 },
  passwordTooLong: { kind: 'passwordTooLong' },
  unknownAlarmAction: { kind: 'unknownAlarmAction' },
  memberUrlsInvalid: { kind: 'memberUrlsInvalid' },
  memberNotFound: { kind: 'memberNotFound' },
  memberNotLearner: { kind: 'memberNotLearner' },
  learnerNotReady: { kind: 'learnerNotReady' },
  peerUrlsExist: { kind: 'peerUrlsExist' },
  tooManyLearners: { kind: 'tooManyLearners' },
  unhealthyCluster: { kind: 'unhealthyCluster' },
  badTransferee: { kind: 'badTransferee' },
  downgradeTargetInvalid: { kind: 'downgradeTargetInvalid' },
  downgradeFormatWrong: { kind: 'downgradeFormatWrong' },
  unknownMethod: { kind: 'unknownMethod' },
  tooMany: { kind: 'tooMany', what: 'users', max: 3 },
  nameTooLong: { kind: 'nameTooLong', bytes: 300 },
  commandUndone: { kind: 'commandUndone', operation: 'txn' },
  idempotencyKeyReused: { kind: 'idempotencyKeyReused' },
  operationNotServed: { kind: 'operationNotServed', operation: 'defragment' },
  keyNotProvided: { kind: 'keyNotProvided' },
  keyTooLong: { kind: 'keyTooLong', bytes: 2049 },
  valueTooLarge: { kind: 'valueTooLarge', bytes: 2_000_000 },
  valueProvided: { kind: 'valueProvided' },
  leaseProvided: { kind: 'leaseProvided' },
  keyNotFound: { kind: 'keyNotFound' },
  leaseNotFound: { kind: 'leaseNotFound' },
  tooManyOperations: { kind: 'tooManyOperations' },
  duplicateKey: { kind: 'duplicateKey' },
  invalidSortOption: { kind: 'invalidSortOption' },
  compacted: { kind: 'compacted', compactedRevision: 5 },
  futureRevision: { kind: 'futureRevision', revision: 9 },
  answerTooLarge: { kind: 'answerTooLarge' },
  tooMuchWork: { kind: 'tooMuchWork', what: 'rows', max: 20_000 },
  noSpace: { kind: 'noSpace' },
  tooManyAccessKeys: { kind: 'tooManyAccessKeys', max: 3 },
  accessKeyExists: { kind: 'accessKeyExists' },
  unauthenticated: { kind: 'unauthenticated', reason: 'revoked' },
  forbidden: { kind: 'forbidden', need: 'write' },
  accessKeyMissing: { kind: 'accessKeyMissing' },
  accessKeyInvalid: { kind: 'accessKeyInvalid' },
  operatorTokenInvalid: { kind: 'operatorTokenInvalid' },
  accessKeyForbidden: { kind: 'accessKeyForbidden', need: 'admin' },
  tenantNotFound: { kind: 'tenantNotFound', tenant: 't' },
  tenantNameTaken: { kind: 'tenantNameTaken', name: 'n' },
  tenantDeleted: { kind: 'tenantDeleted' },
  accessKeyNotFound: { kind: 'accessKeyNotFound', id: 'k' },
  noLeader: { kind: 'noLeader' },
  leaderChanged: { kind: 'leaderChanged' },
  timeout: { kind: 'timeout' },
  memoryFull: { kind: 'memoryFull', of: 'tenant' },
  tooManyOpen: { kind: 'tooManyOpen', what: 'watchStream', of: 'key', max: 256 },
  overloaded: { kind: 'overloaded' },
  loginDelayed: { kind: 'loginDelayed', seconds: 4 },
  directoryUnavailable: { kind: 'directoryUnavailable' },
  deletionUnfinished: { kind: 'deletionUnfinished', tenant: 'a' },
  corrupt: { kind: 'corrupt' },
  internal: { kind: 'internal' },
  replicaNotFound: { kind: 'replicaNotFound', replica: 9 },
  tooManyReplicas: { kind: 'tooManyReplicas', max: 5 },
  tooFewReplicas: { kind: 'tooFewReplicas', staying: 2, min: 3 },
  lastReplica: { kind: 'lastReplica' },
  membersChanging: { kind: 'membersChanging' },
  groupLevelTooLow: { kind: 'groupLevelTooLow', what: 'A change of members' },
  bodyTooLarge: { kind: 'bodyTooLarge', bytes: 9, bytesMax: 8 },
  requestTooLarge: { kind: 'requestTooLarge', bytes: 9, bytesMax: 8 },
  notFound: { kind: 'notFound' },
  methodNotAllowed: { kind: 'methodNotAllowed', allow: ['GET', 'PUT'] },
  notServed: { kind: 'notServed', what: '/v3/lease/grant' },
  badRequest: { kind: 'badRequest', detail: 'limit must be "small"' },
  contentCodingNotTaken: { kind: 'contentCodingNotTaken', coding: 'gzip' },
  contentTypeNotTaken: { kind: 'contentTypeNotTaken', contentType: 'multipart/form-data', takes: 'the value itself' },
  expectationFailed: { kind: 'expectationFailed', expectation: 'a-miracle' },
  keyAbsent: { kind: 'keyAbsent', revision: 9 },
  preconditionFailed: { kind: 'preconditionFailed', current: null, revision: 9 },
  appliedBefore: { kind: 'appliedBefore', revision: 9 },
};

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
    // An absent key is one problem, whichever call found it; so is a key that is not allowed to.
    expect(slugs.size).toBe(Object.keys(all).length - 2);
    expect(JSON.parse(problemText(all.compacted))).toMatchObject({ status: 410, compacted_revision: 5 });
  });

  it('API-ERR-5: the document describes the status, the headers and the members of each problem', async () => {
    for (const failure of Object.values(all)) {
      expect(await problemFaults(failureResponse('v1', failure)), failure.kind).toEqual([]);
    }
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
        expect(read.respond({ kind: 'failed', failure: all.compacted }, header).status).toBe(400);
    }
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
    expect(v3Paths().length).toBe(51);
    const body = '{"leader":{},"peerURLs":["http://192.0.2.1:2380"]}';
    for (const path of v3Paths()) {
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
    const answer = callOf('status', 'GET /v1/status').respond(report);
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
