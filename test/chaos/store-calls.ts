// The calls on the store, as the clients of a run make them, and what each answer says about what was done. A 4xx is
// definite: nothing was done, or will be. A 5xx, a time-out and a broken connection say nothing.

import type { Answer, Input, SeenPair, Write } from '../sim/checkers/history.ts';
import { isObject, listIn, numberIn, numberOrNull, type Members, membersOf, textIn, textOrEmpty } from './json.ts';

export type StoreAddress = { readonly url: string; readonly key: string };

export type CallOptions = {
  readonly store: StoreAddress;
  /** The id of a write that the client will repeat. Null: the client will not repeat it. */
  readonly writeId: string | null;
  /** After this time the client cuts the connection. */
  readonly waitMs: number;
  /** Asks that the nearest replica answers, or a follower. */
  readonly nearest: boolean;
};

export type Called<Value> =
  | { readonly kind: 'answered'; readonly value: Value }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'lost'; readonly why: string }
  /** Nobody listened, so nothing left the client. */
  | { readonly kind: 'unsent' };

type Asked = {
  readonly method: 'GET' | 'PUT' | 'DELETE' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
};
type Response = { readonly status: number; readonly headers: Headers; readonly text: string };

/** An answer that the API does not have for such a call: either the run or the service is at fault. */
export class UnexpectedAnswer extends Error {
  override readonly name = 'UnexpectedAnswer';
}

// One key

export async function getKey(
  key: string,
  { serializable }: { readonly serializable: boolean },
  options: CallOptions,
): Promise<Called<Answer>> {
  const path = `/v1/kv/${key}${serializable ? '?consistency=serializable' : ''}`;
  return await call({ method: 'GET', path }, options, ({ status, headers, text }) => {
    const revision = Number(headers.get('Quorate-Revision'));
    const base = { held: true, revision, deleted: null };
    if (status === 200) return { ...base, pairs: [pairOfHeaders(headers, text)] };
    return status === 404 && problemOf(text) === 'key-not-found' ? { ...base, pairs: [null] } : null;
  });
}

/** A put or a delete of one key, with one condition at most. Its reads tell what the answer says of the key. */
export async function writeKey(write: Write, mod: number | null, options: CallOptions): Promise<Called<Answer>> {
  const headers: Record<string, string> = {};
  if (mod === 0) headers['If-None-Match'] = '*';
  else if (mod !== null) headers['If-Match'] = `"${mod}"`;
  const path = `/v1/kv/${write.key}`;
  const asked: Asked =
    write.kind === 'put' ? { method: 'PUT', path, headers, body: write.value } : { method: 'DELETE', path, headers };
  return await call(asked, options, ({ status, text }) => {
    const body = membersOf(text);
    if (status === 200) return answerOfWrite(write, body);
    if (status !== 412 || mod === null) return null;
    const current = numberOrNull(body, 'mod_revision');
    const pairs = [current === null ? null : { mod: current, value: null, create: null, version: null }];
    return { held: false, revision: numberIn(body, 'revision'), deleted: null, pairs };
  });
}

function answerOfWrite(write: Write, body: Members): Answer {
  const revision = numberIn(body, 'revision');
  if (write.kind === 'delete') {
    return { held: true, revision, deleted: numberIn(body, 'deleted'), pairs: [null] };
  }
  const told = {
    mod: numberIn(body, 'mod_revision'),
    create: numberIn(body, 'create_revision'),
    version: numberIn(body, 'version'),
  };
  return { held: true, revision, deleted: null, pairs: [{ ...told, value: null }] };
}

// Transactions

/**
 * A transaction of the shape of `input`: conditions, then writes and reads. Where the conditions do not hold, only the
 * reads are done.
 */
export async function transact(input: Input, options: CallOptions): Promise<Called<Answer>> {
  const gets = input.reads.map((key) => ({ get: { key } }));
  const writes = input.writes.map((write) =>
    write.kind === 'put' ? { put: { key: write.key, value: write.value } } : { delete: { key: write.key } },
  );
  const body = JSON.stringify({
    if: input.when.map(({ key, mod }) => ({ key, target: 'mod_revision', op: '=', value: mod })),
    // oxlint-disable-next-line unicorn/no-thenable -- the API's word
    then: [...writes, ...gets],
    else: gets,
  });
  return await call({ method: 'POST', path: '/v1/txn', body }, options, ({ status, text }) => {
    if (status !== 200) return null;
    const answer = membersOf(text);
    const held = answer.get('succeeded') === true;
    const results = listIn(answer, 'results').map(membersOf);
    const deletes = results.flatMap((part) => (part.has('delete') ? [membersOf(part.get('delete'))] : []));
    const ranges = results.flatMap((part) => (part.has('get') ? [membersOf(part.get('get'))] : []));
    const hasDelete = held && input.writes.some(({ kind }) => kind === 'delete');
    return {
      held,
      revision: numberIn(answer, 'revision'),
      deleted: hasDelete ? deletes.reduce((sum, part) => sum + numberIn(part, 'deleted'), 0) : null,
      pairs: ranges.map((part) => firstPair(listIn(part, 'kvs'))),
    };
  });
}

/** The same transaction in etcd's words. */
export async function transactV3(input: Input, options: CallOptions): Promise<Called<Answer>> {
  const ranges = input.reads.map((key) => ({ request_range: { key: base64(key) } }));
  const writes = input.writes.map((write) =>
    write.kind === 'put'
      ? { request_put: { key: base64(write.key), value: base64(write.value) } }
      : { request_delete_range: { key: base64(write.key) } },
  );
  const compare = input.when.map(({ key, mod }) => ({ key: base64(key), target: 'MOD', mod_revision: String(mod) }));
  const body = JSON.stringify({ compare, success: [...writes, ...ranges], failure: ranges });
  return await call({ method: 'POST', path: '/v3/kv/txn', body }, options, ({ status, text }) => {
    if (status !== 200) return null;
    const answer = membersOf(text);
    const held = answer.get('succeeded') === true;
    const parts = listIn(answer, 'responses').map(membersOf);
    const named = (name: string): Members[] =>
      parts.flatMap((part) => (part.has(name) ? [membersOf(part.get(name))] : []));
    const hasDelete = held && input.writes.some(({ kind }) => kind === 'delete');
    const deleted = named('response_delete_range').reduce((sum, part) => sum + Number(part.get('deleted') ?? 0), 0);
    return {
      held,
      revision: Number(membersOf(answer.get('header')).get('revision')),
      deleted: hasDelete ? deleted : null,
      pairs: named('response_range').map((part) => firstPairV3(listOrNone(part, 'kvs'))),
    };
  });
}

// Lists

export type Page = {
  readonly revision: number;
  readonly count: number;
  readonly pairs: ReadonlyMap<string, SeenPair>;
  readonly cursor: string | null;
};

export type ListOptions = {
  readonly prefix: string;
  readonly limit: number;
  /** Null: the newest revision. */
  readonly revision: number | null;
  readonly serializable: boolean;
  readonly cursor: string | null;
};

export async function listPage(list: ListOptions, options: CallOptions): Promise<Called<Page>> {
  const query = new URLSearchParams({ prefix: list.prefix, limit: String(list.limit) });
  if (list.revision !== null) query.set('revision', String(list.revision));
  if (list.serializable) query.set('consistency', 'serializable');
  if (list.cursor !== null) query.set('cursor', list.cursor);
  return await call({ method: 'GET', path: `/v1/kv?${query.toString()}` }, options, ({ status, text }) => {
    if (status !== 200) return null;
    const body = membersOf(text);
    const kvs = listIn(body, 'kvs').map(membersOf);
    return {
      revision: numberIn(body, 'revision'),
      count: numberIn(body, 'count'),
      pairs: new Map(kvs.map((kv) => [textIn(kv, 'key'), pairOf(kv)])),
      cursor: body.has('cursor') ? textIn(body, 'cursor') : null,
    };
  });
}

// What all answers have in common

export function pairOf(
  kv: Members,
): SeenPair & { readonly value: string; readonly create: number; readonly version: number } {
  return {
    mod: numberIn(kv, 'mod_revision'),
    value: textIn(kv, 'value'),
    create: numberIn(kv, 'create_revision'),
    version: numberIn(kv, 'version'),
  };
}

function firstPair(kvs: readonly unknown[]): SeenPair | null {
  const [first] = kvs;
  return first === undefined ? null : pairOf(membersOf(first));
}

function firstPairV3(kvs: readonly unknown[]): SeenPair | null {
  const [first] = kvs;
  if (first === undefined) return null;
  const kv = membersOf(first);
  return {
    mod: Number(kv.get('mod_revision')),
    value: Buffer.from(textOrEmpty(kv, 'value'), 'base64').toString('utf8'),
    create: Number(kv.get('create_revision')),
    version: Number(kv.get('version')),
  };
}

/** The JSON of protobuf leaves empty lists out. */
function listOrNone(members: Members, name: string): readonly unknown[] {
  return members.has(name) ? listIn(members, name) : [];
}

function pairOfHeaders(headers: Headers, value: string): SeenPair {
  return {
    mod: Number((headers.get('ETag') ?? '').replaceAll('"', '')),
    value,
    create: Number(headers.get('Quorate-Create-Revision')),
    version: Number(headers.get('Quorate-Version')),
  };
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}

function problemOf(text: string): string {
  return textOrEmpty(membersOf(text), 'type').replace('urn:quorate:problem:', '');
}

async function call<Value>(
  asked: Asked,
  options: CallOptions,
  read: (response: Response) => Value | null,
): Promise<Called<Value>> {
  const sent = await send(asked, options);
  if (sent.kind !== 'answered') return sent;
  const { status, text } = sent.value;
  // etcd's gateway answers 499 where a caller went away, which only that caller could have read.
  if (status >= 500) return { kind: 'lost', why: `${status} ${problemWords(text)}` };
  if (status === 429) return { kind: 'refused', why: '429' };
  const value = read(sent.value);
  if (value === null)
    throw new UnexpectedAnswer(`${asked.method} ${asked.path} answered ${status}: ${text.slice(0, 300)}`);
  return { kind: 'answered', value };
}

function problemWords(text: string): string {
  try {
    const body: unknown = JSON.parse(text);
    if (!isObject(body)) return '';
    return String(Reflect.get(body, 'type') ?? Reflect.get(body, 'message') ?? '').replace('urn:quorate:problem:', '');
  } catch {
    return text.slice(0, 40);
  }
}

async function send({ method, path, headers, body }: Asked, options: CallOptions): Promise<Called<Response>> {
  const { store, writeId, waitMs, nearest } = options;
  try {
    const response = await fetch(`${store.url}${path}`, {
      method,
      headers: {
        ...headers,
        'Quorate-Key': store.key,
        ...(writeId === null ? {} : { 'Idempotency-Key': writeId }),
        ...(nearest ? { 'Quorate-Read': 'nearest' } : {}),
      },
      ...(body === undefined ? {} : { body }),
      signal: AbortSignal.timeout(waitMs),
    });
    const text = await response.text();
    return { kind: 'answered', value: { status: response.status, headers: response.headers, text } };
  } catch (error) {
    if (codeOf(error) === 'ECONNREFUSED') return { kind: 'unsent' };
    return {
      kind: 'lost',
      why: error instanceof Error && error.name === 'TimeoutError' ? 'cut by the client' : 'connection broke',
    };
  }
}

function codeOf(error: unknown): unknown {
  const cause: unknown = error instanceof Error ? error.cause : null;
  return isObject(cause) ? Reflect.get(cause, 'code') : null;
}
