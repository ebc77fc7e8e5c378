// Turns an answer of etcd into a recording of it: what differs from server to server becomes a placeholder, by the
// rules below and no others. The replayer then compares everything else exactly.

import { allowHeaderIdentity } from '../allowances.ts';
import { isList, isObject, type Answer, type Json, type JsonObject } from '../conversation.ts';
import { parseJson, type HttpAnswer } from '../http-call.ts';
import type { Captures } from '../placeholders.ts';

type Rule = {
  readonly name: string;
  readonly reason: string;
  readonly apply: (body: JsonObject, path: string) => JsonObject;
};

const rules: readonly Rule[] = [
  {
    name: 'header identity',
    reason: 'which cluster, member and term answered differs from run to run; that they are there is checked',
    apply: (body) => {
      const allowed = allowHeaderIdentity(body);
      return allowed.kind === 'allowed' && isObject(allowed.value) ? allowed.value : body;
    },
  },
  {
    name: "a parser's words",
    reason: "what is said of a request that is not JSON, or not of the right types, are the words of Go's parsers",
    apply: (body) =>
      body['code'] === 3 && typeof body['message'] === 'string' && isParserText(body['message'])
        ? { ...body, message: '${:string}' }
        : body,
  },
  {
    name: 'no order',
    reason: "leases, the keys of a lease and alarms come from maps of Go's, which have no order",
    apply: (body) => replaceLists(body, ['leases', 'keys', 'alarms']),
  },
  {
    name: 'time left',
    reason: 'how much of a lease is left depends on when one looks',
    apply: (body, path) =>
      path.endsWith('/timetolive') && body['grantedTTL'] !== undefined ? { ...body, TTL: '${:ttl}' } : body,
  },
  {
    name: 'measurements',
    reason:
      'sizes, indexes, versions and hashes are those of one server; that they are there, and of what type, is checked',
    apply: (body) => Object.fromEntries(Object.entries(body).map(([name, value]) => [name, measured[name] ?? value])),
  },
  {
    name: 'words of alarms',
    reason: 'an alarm is named together with the member that has it',
    apply: (body, path) =>
      path.endsWith('/status') && isList(body['errors'])
        ? { ...body, errors: body['errors'].map(() => '${:string}') }
        : body,
  },
];

const measured: JsonObject = {
  version: '${:version}',
  storageVersion: '${:version}',
  dbSize: '${:int64}',
  dbSizeInUse: '${:int64}',
  dbSizeQuota: '${:int64}',
  leader: '${:uint64}',
  raftIndex: '${:uint64}',
  raftTerm: '${:uint64}',
  raftAppliedIndex: '${:uint64}',
  hash: '${:number}',
};

/**
 * The body of an answer, or the `result` or `error` of a message. `own`: the values that were captured from etcd
 * itself.
 */
export function recordedBody(body: Json, path: string, own: Captures): Json {
  if (!isObject(body)) return body;
  // The answer of an election has a `leader` as well, which is no measurement.
  const applied = rules
    .filter(({ name }) => name !== 'measurements' || path.startsWith('/v3/maintenance/'))
    .reduce((changed, rule) => rule.apply(changed, path), body);
  return withCaptures(applied, own);
}

export function recordedMessage(message: Json, path: string, own: Captures): Json {
  if (!isObject(message)) return message;
  return Object.fromEntries(Object.entries(message).map(([name, value]) => [name, recordedBody(value, path, own)]));
}

export function recordedAnswer(answer: HttpAnswer, path: string, own: Captures): Answer {
  const type = (answer.headers['content-type'] ?? '').split(';')[0] ?? '';
  const authenticate = answer.headers['www-authenticate'];
  const headers = authenticate === undefined ? {} : { 'www-authenticate': authenticate };
  const value = type === 'application/json' ? parseJson(answer.body) : undefined;
  return {
    status: answer.status,
    headers,
    content:
      value === undefined
        ? { kind: 'text', type, text: answer.body }
        : { kind: 'json', type, value: recordedBody(value, path, own) },
  };
}

/** Errors of etcd itself with this code begin with its name. */
function isParserText(message: string): boolean {
  return !message.startsWith('etcdserver: ');
}

function replaceLists(body: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(
    Object.entries(body).map(([name, value]) => [
      name,
      names.includes(name) && isList(value) ? { $unordered: value } : value,
    ]),
  );
}

function withCaptures(value: Json, own: Captures): Json {
  if (typeof value === 'string') {
    for (const [name, captured] of own) if (captured === value) return `\${${name}}`;
    return value;
  }
  if (isList(value)) return value.map((element) => withCaptures(element, own));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withCaptures(member, own)]));
}
