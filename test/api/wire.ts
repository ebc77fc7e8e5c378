// Requests and answers for the tests of the wire.

import { leaseId, revision } from '../../src/model/brands.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { parseCall } from '../../src/api/call.ts';
import type { ApiCall, ApiRequest, ResponseHeader } from '../../src/api/contract.ts';
import { knownPaths } from '../../src/api/routes.ts';
import type { KeyValue, Outcome, TxnPart } from '../../src/model/store.ts';

export const header: ResponseHeader = { clusterId: '11', memberId: '12', raftTerm: 3, revision: 40 };

/** Every path of etcd's gateway, in the spelling of v3. */
export const etcdPaths = knownPaths.map(({ path }) => path).filter((path) => path.startsWith('/v3/'));

export type Sent = {
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
};

function request(methodAndPath: string, { headers = {}, body = '' }: Sent = {}): ApiRequest {
  const [method = '', target = ''] = methodAndPath.split(' ');
  const [path = '', query = ''] = target.split('?');
  return { method, path, query, headers: new Headers(headers), body: typeof body === 'string' ? utf8(body) : body };
}

export function call(methodAndPath: string, sent: Sent = {}): ApiCall {
  return parseCall(request(methodAndPath, sent));
}

type OfKind<Kind extends ApiCall['kind']> = Extract<ApiCall, { kind: Kind }>;

export function callOf<Kind extends ApiCall['kind']>(kind: Kind, methodAndPath: string, sent: Sent = {}): OfKind<Kind> {
  const parsed = call(methodAndPath, sent);
  if (parsed.kind !== kind) throw new Error(`${methodAndPath}: a call of kind ${parsed.kind}`);
  return parsed as OfKind<Kind>;
}

export type Problem = {
  readonly status: number;
  readonly slug: string;
  readonly detail: string;
  readonly headers: Headers;
};

export async function problemOf(response: Response): Promise<Problem> {
  const { type, detail, status } = await response.json<{ type: string; detail: string; status: number }>();
  if (response.headers.get('content-type') !== 'application/problem+json') throw new Error('not a problem');
  if (status !== response.status) throw new Error('the body names another status');
  return { status, slug: type.replace('urn:quorate:problem:', ''), detail, headers: response.headers };
}

/** The answer to a request that is refused at once. */
export async function refusal(methodAndPath: string, sent: Sent = {}): Promise<Problem> {
  return problemOf(callOf('refused', methodAndPath, sent).response);
}

export function pair(key: string, options: Partial<KeyValue> = {}): KeyValue {
  return {
    key: utf8(key),
    value: utf8(`value of ${key}`),
    createRevision: revision(7),
    modRevision: revision(9),
    version: 3,
    lease: leaseId(0n),
    ...options,
  };
}

export function txnOutcome(succeeded: boolean, parts: readonly TxnPart[], at = 40): Outcome {
  return { kind: 'txn', revision: revision(at), answer: { succeeded, parts } };
}

export function rangePart(kvs: readonly KeyValue[], keysOnly = true): TxnPart {
  return { kind: 'range', revision: revision(40), answer: { kvs, more: false, count: kvs.length }, keysOnly };
}

export const putPart: TxnPart = { kind: 'put', revision: revision(40), answer: { previous: null } };
