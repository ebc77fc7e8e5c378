// What monitors ask of an etcd beside its JSON gateway: GET /version, /health, /livez and /readyz.

import { Answer, type AnswerHeaders } from '../answer.ts';
import { unreachable } from '../../base/assert.ts';
import { alarmKind } from '../../model/store.ts';
import type { ApiCall, ApiRequest, HealthFacts } from '../contract.ts';
import { etcdClusterVersion, etcdServerVersion, etcdStorageVersion } from './versions.ts';

type Check = 'data_corruption' | 'serializable_read' | 'linearizable_read' | 'non_learner';

/**
 * The checks of each path, in the order in which an answer lists them. A path of its own below asks for one check
 * alone.
 */
export const healthChecks = {
  '/livez': ['serializable_read'],
  '/readyz': ['data_corruption', 'serializable_read', 'linearizable_read', 'non_learner'],
} as const satisfies Readonly<Record<string, readonly Check[]>>;

const alarmNames = [
  { alarm: alarmKind.noSpace, name: 'NOSPACE' },
  { alarm: alarmKind.corrupt, name: 'CORRUPT' },
] as const;

export function parseVersion(): ApiCall {
  return { kind: 'answered', response: versionResponse() };
}

export function parseHealth({ query }: ApiRequest): ApiCall {
  const parameters = new URLSearchParams(query);
  return healthCall(new Set(parameters.getAll('exclude')), parameters.get('serializable') === 'true');
}

export function parseChecks(checks: readonly Check[]): (request: ApiRequest) => ApiCall {
  return ({ query }) => {
    const parameters = new URLSearchParams(query);
    const excluded = new Set(parameters.getAll('exclude'));
    const asked = checks.filter((check) => !excluded.has(check));
    return checksCall(asked, parameters.has('verbose'));
  };
}

/** Refuses a method that is not in `allow`, in etcd's words. */
export function refuseMethod(allow: string): ApiCall {
  return { kind: 'refused', response: textAnswer('Method Not Allowed\n', 405, { allow }).toResponse() };
}

/** The answer says nothing of a tenant, so anyone may ask. */
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
      // etcd ends the line of an error, and not of an answer.
      return reason === '' ? textAnswer(body, 200) : textAnswer(`${body}\n`, 503);
    },
  };
}

/** The reason that etcd would find first: it looks at alarms, then for a leader, then reads. */
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
      // A failed check is told in full, whether or not the request says `verbose`.
      if (faults.some(({ fault }) => fault !== null)) return textAnswer(`${lines.join('')}\n`, 503);
      return textAnswer(`${verbose ? lines.join('') : ''}ok\n`, 200);
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

function textAnswer(text: string, status: number, headers: AnswerHeaders = {}): Answer {
  const all = { ...headers, 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' };
  return new Answer(status, all, text);
}
