// etcd's maintenance: alarms, status, hashes, snapshot, defragmentation, leadership, downgrade.

import { assert } from '../../base/assert.ts';
import { base64 } from '../../base/bytes.ts';
import type { Alarm } from '../../model/store.ts';
import { alarmKind } from '../../model/store.ts';
import type { ResponseHeader } from '../contract.ts';
import { downgradeAction } from '../service-calls.ts';
import { streamFailure } from '../errors/errors.ts';
import { enumeration, int64, message, text, uint64Exact } from './message.ts';
import { readBody } from './schema.ts';
import type { ParseUnary } from './unary.ts';
import { answer, failKept, jsonAnswer, queryCall, refuse, writeCall } from './unary.ts';
import { etcdServerVersion, etcdStorageVersion } from './versions.ts';

const alarmActions = { GET: 0, ACTIVATE: 1, DEACTIVATE: 2 };
const alarmNames = { NONE: alarmKind.none, NOSPACE: alarmKind.noSpace, CORRUPT: alarmKind.corrupt };
const downgradeActions = {
  VALIDATE: downgradeAction.validate,
  ENABLE: downgradeAction.enable,
  CANCEL: downgradeAction.cancel,
};

const alarmRequest = message<{ action: number; memberId: bigint; alarm: number }>(
  () => ({ action: 0, memberId: 0n, alarm: 0 }),
  {
    action: enumeration(alarmActions, (into, value) => (into.action = value)),
    memberID: uint64Exact((into, value) => (into.memberId = value)),
    alarm: enumeration(alarmNames, (into, value) => (into.alarm = value)),
  },
);

const noFields = message<object>(() => ({}), {});

const hashKvRequest = message<{ revision: number }>(() => ({ revision: 0 }), {
  revision: int64((into, value) => (into.revision = value)),
});

const transferRequest = message<{ target: bigint }>(() => ({ target: 0n }), {
  targetID: uint64Exact((into, value) => (into.target = value)),
});

const downgradeRequest = message<{ action: number; version: string }>(() => ({ action: 0, version: '' }), {
  action: enumeration(downgradeActions, (into, value) => (into.action = value)),
  version: text((into, value) => (into.version = value)),
});

function alarmJson({ memberId, alarm }: Alarm): string {
  const name = Object.entries(alarmNames).find(([, number]) => number === alarm)?.[0];
  const members = [
    ...(memberId === 0n ? [] : [`"memberID":"${memberId}"`]),
    ...(alarm === alarmKind.none ? [] : [`"alarm":${name === undefined ? alarm : `"${name}"`}`]),
  ];
  return `{${members.join(',')}}`;
}

function alarmsField(alarms: readonly Alarm[]): string {
  return alarms.length === 0 ? '' : `,"alarms":[${alarms.map(alarmJson).join(',')}]`;
}

export const alarm: ParseUnary = (scanner, facts) => {
  const request = readBody(alarmRequest, scanner);
  if (request === null) return null;
  const { action, memberId, alarm } = request;
  if (action === alarmActions.GET) {
    return queryCall(facts, { kind: 'alarms', alarm }, ({ alarms }) => alarmsField(alarms));
  }
  // Any other action crashes etcd itself.
  if (action !== alarmActions.ACTIVATE && action !== alarmActions.DEACTIVATE) {
    return refuse({ kind: 'unknownAlarmAction' });
  }
  const kind = action === alarmActions.ACTIVATE ? 'alarmActivate' : 'alarmDeactivate';
  return writeCall(
    facts,
    { kind, alarm: { memberId, alarm } },
    {
      fields(outcome) {
        assert(outcome.kind === 'alarm', 'an alarm answers as one');
        return alarmsField(outcome.alarms);
      },
    },
  );
};

/** How etcd writes an alarm into the errors of its status. */
export function alarmError({ memberId, alarm }: Alarm): string {
  const name = Object.entries(alarmNames).find(([, number]) => number === alarm)?.[0] ?? String(alarm);
  return `${memberId === 0n ? '' : `memberID:${memberId} `}alarm:${name} `;
}

export const status: ParseUnary = (scanner, { timeoutMs }) => {
  if (readBody(noFields, scanner) === null) return null;
  return {
    kind: 'etcdStatus',
    protocol: 'v3',
    timeoutMs,
    respond(result, header) {
      if (result.kind === 'failed') return failKept(result.failure);
      const report = result.answer;
      const target = report.downgradeTarget;
      return answer(
        header,
        header.revision,
        `,"version":"${etcdServerVersion}"` +
          int64Field('dbSize', report.databaseBytes) +
          int64Field('leader', report.leader) +
          int64Field('raftIndex', report.raftIndex) +
          int64Field('raftTerm', header.raftTerm) +
          int64Field('raftAppliedIndex', report.raftAppliedIndex) +
          (report.errors.length === 0 ? '' : `,"errors":${JSON.stringify(report.errors)}`) +
          int64Field('dbSizeInUse', report.databaseBytesInUse) +
          (report.isLearner ? ',"isLearner":true' : '') +
          `,"storageVersion":"${etcdStorageVersion}"` +
          int64Field('dbSizeQuota', report.quotaBytes) +
          `,"downgradeInfo":${target === null ? '{}' : `{"enabled":true,"targetVersion":"${target}.0"}`}`,
      );
    },
  };
};

function int64Field(name: string, value: number | string): string {
  return String(value) === '0' ? '' : `,"${name}":"${value}"`;
}

const hashField = (hash: number): string => (hash === 0 ? '' : `,"hash":${hash}`);

/**
 * One message of a dump, without its newline. `remainingBytes` counts all parts but the last one, which is their
 * SHA-256.
 */
export function dumpMessage(remainingBytes: number, blob: Uint8Array): string {
  const remaining = remainingBytes === 0 ? '' : `"remaining_bytes":"${remainingBytes}",`;
  const part = blob.byteLength === 0 ? '' : `"blob":"${base64(blob)}",`;
  return `{"result":{${remaining}${part}"version":"${etcdStorageVersion}"}}`;
}

export const snapshot: ParseUnary = (scanner, { timeoutMs }) => {
  if (readBody(noFields, scanner) === null) return null;
  return {
    kind: 'dump',
    protocol: 'v3',
    timeoutMs,
    failed: (failure) => streamFailure(failure, 'kept'),
  };
};

export const defragment: ParseUnary = (scanner, { timeoutMs }) => {
  if (readBody(noFields, scanner) === null) return null;
  return {
    kind: 'defragment',
    protocol: 'v3',
    timeoutMs,
    respond: (result) => (result.kind === 'failed' ? failKept(result.failure) : jsonAnswer('{}')),
  };
};

export const transferLeadership: ParseUnary = (scanner, { timeoutMs }) => {
  const request = readBody(transferRequest, scanner);
  if (request === null) return null;
  return {
    kind: 'transferLeadership',
    protocol: 'v3',
    timeoutMs,
    target: request.target,
    respond: (result) => (result.kind === 'failed' ? failKept(result.failure) : jsonAnswer('{}')),
  };
};

export const downgrade: ParseUnary = (scanner, { timeoutMs, writeId }) => {
  const request = readBody(downgradeRequest, scanner);
  if (request === null) return null;
  return {
    kind: 'downgrade',
    protocol: 'v3',
    timeoutMs,
    writeId,
    ...request,
    respond(result, header: ResponseHeader) {
      if (result.kind === 'failed') return failKept(result.failure);
      return answer(header, result.answer.revision, `,"version":${JSON.stringify(result.answer.version)}`);
    },
  };
};

export const hash: ParseUnary = (scanner, facts) =>
  readBody(noFields, scanner) && queryCall(facts, { kind: 'hash' }, ({ hash }) => hashField(hash));

export const hashKv: ParseUnary = (scanner, facts) => {
  const request = readBody(hashKvRequest, scanner);
  return (
    request &&
    queryCall(
      facts,
      { kind: 'hashKv', ...request },
      ({ hash, compactedRevision, hashRevision }) =>
        hashField(hash) + int64Field('compact_revision', compactedRevision) + int64Field('hash_revision', hashRevision),
    )
  );
};
