// The only two ways in which an answer may differ from its recording beyond placeholders. Each takes the allowed
// difference out of the answer, so that the comparison after it is exact.

import { isObject, type Json, type JsonObject } from './conversation.ts';
import { isDecimal } from './placeholders.ts';

const identityMembers = ['cluster_id', 'member_id', 'raft_term'] as const;

/** An answer that is ready to be compared, or why it cannot be compared. */
export type Allowed =
  | { readonly kind: 'allowed'; readonly value: Json }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * The ids of the cluster and the member, and the term, differ from run to run, so recordings leave them out of
 * `header`. They must be in the answer, because clients read them. Only the header of the answer itself has them, and
 * not the headers of a transaction's parts.
 */
export function allowHeaderIdentity(value: Json): Allowed {
  if (!isObject(value) || !isObject(value['header'])) return { kind: 'allowed', value };
  const header = value['header'];
  const wrong = identityMembers.find((name) => !isDecimal(header[name]) || header[name] === '0');
  if (wrong !== undefined) {
    return {
      kind: 'refused',
      reason: `header.${wrong} is ${JSON.stringify(header[wrong])}, not a decimal string other than "0"`,
    };
  }
  return { kind: 'allowed', value: { ...value, header: without(header, identityMembers) } };
}

/**
 * Clients of etcd 3.5 read `error`, `grpc_code`, `http_code` and `http_status` of an error; 3.7.1 sends `code` and
 * `message` only. A server may serve both: the older members are allowed beside the newer, `error` and `grpc_code` if
 * they say the same.
 */
export function allowOlderErrorMembers(recorded: Json, value: Json): Json {
  if (!isErrorBody(recorded) || !isObject(value)) return value;
  const allowed = ['http_code', 'http_status'];
  if (value['error'] === value['message']) allowed.push('error');
  if (value['grpc_code'] === value['code']) allowed.push('grpc_code');
  return without(value, allowed);
}

function isErrorBody(recorded: Json): boolean {
  return isObject(recorded) && typeof recorded['code'] === 'number' && typeof recorded['message'] === 'string';
}

function without(value: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name)));
}
