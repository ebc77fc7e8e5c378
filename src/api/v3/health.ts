// What monitors ask of an etcd beside its gateway: GET /version, /health, /livez and /readyz.

import { unreachable } from '../../base/assert.ts';
import { alarmKind } from '../../model/store.ts';
import type { ApiCall, ApiRequest, HealthFacts } from '../contract.ts';
import { etcdClusterVersion, etcdServerVersion, etcdStorageVersion } from './versions.ts';

type Check = 'data_corruption' | 'serializable_read' | 'linearizable_read' | 'non_learner';

/** In the order in which they are told. */
const checksOf: Readonly<Record<string, readonly Check[]>> = {
  livez: ['serializable_read'],
  readyz: ['data_corruption', 'serializable_read', 'linearizable_read', 'non_learner'],
};

const alarmNames = [
  { alarm: alarmKind.noSpace, name: 'NOSPACE' },
  { alarm: alarmKind.corrupt, name: 'CORRUPT' },
] as const;

const healthPath = /^\/(?:version|health|(livez|readyz)(?:\/([a-z_]+))?)$/;

export function isHealthPath(path: string): boolean {
  return checkOfPath(path) !== null;
}

type HealthPath =
  | { readonly kind: 'version' }
  | { readonly kind: 'health' }
  | { readonly kind: 'checks'; readonly checks: readonly Check[] };

function checkOfPath(path: string): HealthPath | null {
  const [whole, group, name] = healthPath.exec(path) ?? [];
  if (whole === undefined) return null;
  if (group === undefined) return { kind: whole === '/version' ? 'version' : 'health' };
  const checks = checksOf[group] ?? [];
  if (name === undefined) return { kind: 'checks', checks };
  const check = checks.find((each) => each === name);
  return check === undefined ? null : { kind: 'checks', checks: [check] };
}

/** null: none of these paths. */
export function parseHealthCall({ method, path, query }: ApiRequest): ApiCall | null {
  const found = checkOfPath(path);
  if (found === null) return null;
  if (method !== 'GET') {
    return { kind: 'refused', response: textResponse('Method Not Allowed\n', 405, { allow: 'GET' }) };
  }
  if (found.kind === 'version') return { kind: 'answered', response: versionResponse() };
  const parameters = new URLSearchParams(query);
  const excluded = new Set(parameters.getAll('exclude'));
  if (found.kind === 'health') return healthCall(excluded, parameters.get('serializable') === 'true');
  const checks = found.checks.filter((check) => !excluded.has(check));
  return checksCall(checks, parameters.has('verbose'));
}

/** It says nothing of a tenant: anyone may be told. */
function versionResponse(): Response {
  return Response.json({
    etcdserver: etcdServerVersion,
    etcdcluster: etcdClusterVersion,
    storage: etcdStorageVersion,
  });
}

function healthCall(excluded: ReadonlySet<string>, serializable: boolean): ApiCall {
  return {
    kind: 'health',
    protocol: 'v3',
    timeoutMs: null,
    needs: { serializableRead: serializable, linearizableRead: !serializable },
    respond(facts) {
      const reason = unhealthyReason(facts, excluded, serializable);
      const body = JSON.stringify({ health: String(reason === ''), reason });
      // etcd's errors end their line, its answers do not.
      return reason === '' ? textResponse(body, 200) : textResponse(`${body}\n`, 503);
    },
  };
}

/** The first that etcd would find: alarms, then the leader, then the read. */
function unhealthyReason(facts: HealthFacts, excluded: ReadonlySet<string>, serializable: boolean): string {
  const alarm = alarmNames.find(({ alarm, name }) => facts.alarms.includes(alarm) && !excluded.has(name));
  if (alarm !== undefined) return `ALARM ${alarm.name}`;
  if (!serializable && !facts.hasLeader) return 'RAFT NO LEADER';
  const fault = serializable ? facts.serializableRead : facts.linearizableRead;
  return fault === null ? '' : `${serializable ? 'RANGE' : 'QGET'} ERROR:${fault}`;
}

function checksCall(checks: readonly Check[], verbose: boolean): ApiCall {
  return {
    kind: 'health',
    protocol: 'v3',
    timeoutMs: null,
    needs: {
      serializableRead: checks.includes('serializable_read'),
      linearizableRead: checks.includes('linearizable_read'),
    },
    respond(facts) {
      const faults = checks.map((check) => ({ check, fault: faultOf(check, facts) }));
      const lines = faults.map(({ check, fault }) =>
        fault === null ? `[+]${check} ok\n` : `[-]${check} failed: ${fault}\n`,
      );
      // What failed is always told in full.
      if (faults.some(({ fault }) => fault !== null)) return textResponse(`${lines.join('')}\n`, 503);
      return textResponse(`${verbose ? lines.join('') : ''}ok\n`, 200);
    },
  };
}

function faultOf(check: Check, facts: HealthFacts): string | null {
  switch (check) {
    case 'data_corruption':
      return facts.alarms.includes(alarmKind.corrupt) ? 'alarm activated: CORRUPT' : null;
    case 'serializable_read':
      return facts.serializableRead;
    case 'linearizable_read':
      return facts.linearizableRead;
    case 'non_learner':
      return facts.isLearner ? 'etcdserver: rpc not supported for learner' : null;
    default:
      return unreachable(check);
  }
}

function textResponse(text: string, status: number, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(text, {
    status,
    headers: { ...headers, 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' },
  });
}
