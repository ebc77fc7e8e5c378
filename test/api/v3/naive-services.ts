// The calls other than kv, read and answered in the slow, obvious way: what a recorded message asks for, and the result
// that a recorded answer came from.

import { Buffer } from 'node:buffer';
import { leaseId, revision } from '../../../src/model/brands.ts';
import type { ApiCall, ClusterMember, Result } from '../../../src/api/contract.ts';
import type { Alarm, Outcome } from '../../../src/model/store.ts';
import type { QueryAnswer, QueryResult } from '../../../src/model/queries.ts';
import type { Plain } from './naive-v3.ts';
import { outcome, rangeAnswer } from './naive-v3.ts';
import { header } from '../wire.ts';

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const bytes = (value: unknown): Uint8Array => new Uint8Array(Buffer.from(text(value), 'base64'));
const number = (value: unknown): number => (value === undefined ? 0 : Number(value));
const big = (value: unknown): bigint =>
  typeof value === 'string' || typeof value === 'number' ? BigInt(value === '' ? 0 : value) : 0n;
const lease = (value: unknown) => leaseId(big(value));
const plains = (value: unknown): Plain[] => (Array.isArray(value) ? (value as Plain[]) : []);
const texts = (value: unknown): string[] => (Array.isArray(value) ? value.map(text) : []);
const enumOf = (value: unknown, names: readonly string[]): number =>
  typeof value === 'number' ? value : Math.max(0, names.indexOf(text(value)));

const alarmNames = ['NONE', 'NOSPACE', 'CORRUPT'];
const permissionNames = ['READ', 'WRITE', 'READWRITE'];

function range(json: Plain) {
  return { key: bytes(json['key']), rangeEnd: bytes(json['range_end'] ?? json['rangeEnd']) };
}

function permission(json: Plain) {
  return { type: enumOf(json['permType'], permissionNames), ...range(json) };
}

function alarm(json: Plain): Alarm {
  return { memberId: big(json['memberID']), alarm: enumOf(json['alarm'], alarmNames) };
}

const write = (operation: object) => ({ kind: 'write', operation });

const query = (of: object) => ({ kind: 'query', query: of });

/** The data that the decoded call must have. */
export function expectedCall(path: string, json: Plain): object {
  const id = lease(json['ID']);
  const name = text(json['name']);
  const role = text(json['role']);
  switch (path.replace(/^\/v3(beta)?\//, '').replace('kv/lease', 'lease')) {
    case 'lease/grant':
      return write({ kind: 'leaseGrant', id, candidate: 0n, ttlSeconds: number(json['TTL']) });
    case 'lease/revoke':
      return write({ kind: 'leaseRevoke', id });
    case 'lease/timetolive':
      return { kind: 'timeToLive', query: { kind: 'timeToLive', id, keys: json['keys'] === true } };
    case 'lease/leases':
      return query({ kind: 'leases' });
    case 'auth/enable':
      return write({ kind: 'authEnable' });
    case 'auth/disable':
      return write({ kind: 'authDisable' });
    case 'auth/status':
      return query({ kind: 'authStatus' });
    case 'auth/authenticate':
      return { kind: 'authenticate', name, password: text(json['password']) };
    case 'auth/user/add':
      return json['options'] === undefined
        ? { kind: 'password', password: text(json['password']) }
        : write({ kind: 'userAdd', name, passwordHash: null });
    case 'auth/user/changepw':
      return text(json['password']) === ''
        ? write({ kind: 'userChangePassword', name, passwordHash: '' })
        : { kind: 'password', password: text(json['password']) };
    case 'auth/user/get':
      return query({ kind: 'userGet', name });
    case 'auth/user/list':
      return query({ kind: 'userList' });
    case 'auth/user/delete':
      return write({ kind: 'userDelete', name });
    case 'auth/user/grant':
      return write({ kind: 'userGrantRole', name: text(json['user']), role });
    case 'auth/user/revoke':
      return write({ kind: 'userRevokeRole', name, role });
    case 'auth/role/add':
      return write({ kind: 'roleAdd', name });
    case 'auth/role/get':
      return query({ kind: 'roleGet', role });
    case 'auth/role/list':
      return query({ kind: 'roleList' });
    case 'auth/role/delete':
      return write({ kind: 'roleDelete', name: role });
    case 'auth/role/grant': {
      const perm = json['perm'] === undefined ? null : permission(json['perm'] as Plain);
      return write({ kind: 'roleGrantPermission', role: name, permission: perm });
    }
    case 'auth/role/revoke':
      return write({ kind: 'roleRevokePermission', role, range: range(json) });
    default:
      return expectedOfGroup(path.replace(/^\/v3(beta)?\//, ''), json);
  }
}

function expectedOfGroup(path: string, json: Plain): object {
  const name = bytes(json['name']);
  const leader = json['leader'] as Plain | undefined;
  switch (path) {
    case 'maintenance/alarm': {
      const action = enumOf(json['action'], ['GET', 'ACTIVATE', 'DEACTIVATE']);
      if (action === 0) return { kind: 'query', query: { kind: 'alarms', alarm: alarm(json).alarm } };
      const kind = action === 1 ? 'alarmActivate' : 'alarmDeactivate';
      return { kind: 'write', operation: { kind, alarm: alarm(json) } };
    }
    case 'maintenance/status':
      return { kind: 'etcdStatus' };
    case 'maintenance/hash':
      return { kind: 'query', query: { kind: 'hash' } };
    case 'maintenance/hashkv':
      return { kind: 'query', query: { kind: 'hashKv', revision: number(json['revision']) } };
    case 'maintenance/defragment':
      return { kind: 'defragment' };
    case 'maintenance/snapshot':
      return { kind: 'dump' };
    case 'maintenance/transfer-leadership':
      return { kind: 'transferLeadership', target: big(json['targetID']) };
    case 'maintenance/downgrade': {
      const action = enumOf(json['action'], ['VALIDATE', 'ENABLE', 'CANCEL']);
      return { kind: 'downgrade', action, version: text(json['version']) };
    }
    case 'cluster/member/list':
      return { kind: 'memberList', linearizable: json['linearizable'] === true };
    case 'cluster/member/add': {
      const peerUrls = texts(json['peerURLs']);
      return { kind: 'memberChange', change: { kind: 'add', peerUrls, isLearner: json['isLearner'] === true } };
    }
    case 'cluster/member/update': {
      const peerUrls = texts(json['peerURLs']).every((url) => url.startsWith('http')) ? texts(json['peerURLs']) : null;
      const change = { kind: 'update', id: big(json['ID']), peerUrls: peerUrls?.length === 0 ? null : peerUrls };
      return { kind: 'memberChange', change };
    }
    case 'cluster/member/remove':
    case 'cluster/member/promote':
      return { kind: 'memberChange', change: { kind: path.slice('cluster/member/'.length), id: big(json['ID']) } };
    case 'lock/lock':
      return { kind: 'lock', name, lease: lease(json['lease']) };
    case 'lock/unlock': {
      const request = { key: bytes(json['key']), rangeEnd: new Uint8Array(0), previous: false };
      return { kind: 'write', operation: { kind: 'deleteRange', request } };
    }
    case 'election/campaign':
      return { kind: 'campaign', name, lease: lease(json['lease']), value: bytes(json['value']) };
    case 'election/proclaim':
      // Only a lease that is granted for it takes more than one write.
      return lease(leader?.['lease']) === 0n ? { kind: 'sessionWrite', lease: 0n } : write({ kind: 'txn' });
    case 'election/resign':
      return { kind: 'write', operation: { kind: 'txn' } };
    case 'election/leader':
    case 'election/observe':
      return { kind: path.endsWith('leader') ? 'read' : 'observe', request: { limit: 1, sortOrder: 1, sortTarget: 2 } };
    default:
      throw new Error(path);
  }
}

function queryAnswer(kind: string, json: Plain): QueryAnswer {
  switch (kind) {
    case 'timeToLive': {
      const keys = texts(json['keys']).map((key) => bytes(key));
      const found = json['TTL'] === '-1' ? null : { ttlSeconds: number(json['grantedTTL']), keys };
      return { kind: 'timeToLive', id: lease(json['ID']), lease: found };
    }
    case 'leases':
      return { kind: 'leases', ids: plains(json['leases']).map((each) => lease(each['ID'])) };
    case 'authStatus':
      return { kind, enabled: json['enabled'] === true, authRevision: number(json['authRevision']) };
    case 'userGet':
      return { kind, roles: texts(json['roles']) };
    case 'userList':
      return { kind, users: texts(json['users']) };
    case 'roleGet':
      return { kind, permissions: plains(json['perm']).map(permission) };
    case 'roleList':
      return { kind, roles: texts(json['roles']) };
    case 'alarms':
      return { kind, alarms: plains(json['alarms']).map(alarm) };
    case 'hash':
      return { kind, hash: number(json['hash']) };
    case 'hashKv':
      return {
        kind,
        hash: number(json['hash']),
        hashRevision: number(json['hash_revision']),
        compactedRevision: number(json['compact_revision']),
      };
    default:
      throw new Error(kind);
  }
}

function member(json: Plain): ClusterMember {
  return {
    id: big(json['ID']),
    name: text(json['name']),
    peerUrls: texts(json['peerURLs']),
    clientUrls: texts(json['clientURLs']),
    isLearner: json['isLearner'] === true,
  };
}

function writeOutcome(path: string, at: number, json: Plain): Outcome {
  if (path.endsWith('lease/grant')) {
    return { kind: 'leaseGrant', revision: revision(at), id: lease(json['ID']), ttlSeconds: number(json['TTL']) };
  }
  if (path.endsWith('alarm'))
    return { kind: 'alarm', revision: revision(at), alarms: plains(json['alarms']).map(alarm) };
  if (path.endsWith('unlock')) return outcome('/v3/kv/deleterange', json);
  if (/proclaim|resign/.test(path)) {
    return { kind: 'txn', revision: revision(at), answer: { succeeded: true, parts: [] } };
  }
  return { kind: 'done', revision: revision(at) };
}

const done = <Answer>(answer: Answer): Result<Answer> => ({ kind: 'answer', answer });

/** The answer of the call to the result that the recorded answer came from. */
export function answerLike(call: ApiCall, path: string, json: Plain): Response {
  const at = number((json['header'] as Plain | undefined)?.['revision']);
  const shown = { ...header, revision: at };
  switch (call.kind) {
    case 'write':
    case 'password':
    case 'sessionWrite':
      return call.respond(writeOutcome(path, at, json), header).toResponse();
    case 'query':
    case 'timeToLive': {
      const result: QueryResult = {
        kind: 'answer',
        revision: revision(at),
        answer: queryAnswer(call.query.kind, json),
      };
      return call.kind === 'query'
        ? call.respond(result, header).toResponse()
        : call.respond(result, json['TTL'] === '-1' ? null : number(json['TTL']), header).toResponse();
    }
    case 'authenticate':
      return call.respond(done({ token: text(json['token']), revision: at }), header).toResponse();
    case 'lock':
      return call.respond(done({ key: bytes(json['key']), revision: at }), header).toResponse();
    case 'campaign': {
      const leader = json['leader'] as Plain;
      return call
        .respond(
          done({
            key: bytes(leader['key']),
            createRevision: number(leader['rev']),
            lease: lease(leader['lease']),
            revision: at,
          }),
          header,
        )
        .toResponse();
    }
    case 'read': {
      const kvs = json['kv'] === undefined ? [] : [json['kv']];
      return call.respond({ kind: 'answer', answer: rangeAnswer({ kvs, count: '1' }) }, shown).toResponse();
    }
    case 'etcdStatus':
      return call
        .respond(
          done({
            databaseBytes: number(json['dbSize']),
            databaseBytesInUse: number(json['dbSizeInUse']),
            quotaBytes: number(json['dbSizeQuota']),
            leader: text(json['leader']),
            raftIndex: number(json['raftIndex']),
            raftAppliedIndex: number(json['raftAppliedIndex']),
            errors: texts(json['errors']),
            isLearner: false,
            downgradeTarget: (json['downgradeInfo'] as Plain)['enabled'] === true ? '3.6' : null,
          }),
          { ...shown, raftTerm: number(json['raftTerm']) },
        )
        .toResponse();
    case 'defragment':
    case 'transferLeadership':
      return call.respond(done(null)).toResponse();
    case 'downgrade':
      return call.respond(done({ version: '3.7', revision: at }), header).toResponse();
    case 'memberList':
      return call.respond(done(plains(json['members']).map(member)), header).toResponse();
    case 'memberChange': {
      const added = json['member'] === undefined ? null : member(json['member'] as Plain);
      return call.respond(done({ member: added, members: plains(json['members']).map(member) }), header).toResponse();
    }
    case 'acquire':
    case 'answered':
    case 'frames':
    case 'health':
    case 'keepAlive':
    case 'keepAliveStream':
    case 'observe':
    case 'refused':
    case 'release':
    case 'dump':
    case 'status':
    case 'session':
    case 'watch':
    default:
      throw new Error(`${path}: ${call.kind}`);
  }
}
