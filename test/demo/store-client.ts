// The calls of the README, as the demo makes them.

export type StoreAddress = { readonly url: string; readonly key: string };

export type PutAnswer = { readonly modRevision: number; readonly version: number };

export type Pair = {
  readonly key: string;
  readonly value: string;
  readonly modRevision: number;
  readonly version: number;
};

/** POST /v1/tenants with the operator's token: makes a store of three replicas that can be used at once. */
export async function provision(server: { readonly url: string; readonly operatorToken: string }, name: string) {
  const answer = await callJson(`${server.url}/v1/tenants`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${server.operatorToken}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ name }),
  });
  return { id: text(answer, 'id'), key: text(answer, 'key') };
}

/** PUT /v1/kv/{key}. `writeId` names the write over retries, so that it is applied once however often it is sent. */
export async function put(
  store: StoreAddress,
  pair: { key: string; value: string; writeId: string },
): Promise<PutAnswer> {
  const path = pair.key.split('/').map(encodeURIComponent).join('/');
  const answer = await callJson(`${store.url}/v1/kv/${path}`, {
    method: 'PUT',
    headers: { Authorization: `Bearer ${store.key}`, 'Idempotency-Key': pair.writeId },
    body: pair.value,
  });
  return { modRevision: number(answer, 'mod_revision'), version: number(answer, 'version') };
}

/** GET /v1/kv?prefix=…, page by page, at `revision`. Null: at the newest revision. */
export async function list(store: StoreAddress, prefix: string, revision: number | null): Promise<Pair[]> {
  const pairs: Pair[] = [];
  let cursor: string | null = null;
  do {
    const query = new URLSearchParams({ prefix, limit: '100' });
    if (revision !== null) query.set('revision', String(revision));
    if (cursor !== null) query.set('cursor', cursor);
    const answer = await callJson(`${store.url}/v1/kv?${query.toString()}`, {
      headers: { Authorization: `Bearer ${store.key}` },
    });
    const kvs = answer.get('kvs');
    if (!Array.isArray(kvs)) throw new Error('a list has no "kvs"');
    pairs.push(...kvs.map(parsePair));
    const next = answer.get('cursor');
    cursor = typeof next === 'string' ? next : null;
  } while (cursor !== null);
  return pairs;
}

export function parsePair(value: unknown): Pair {
  const pair = members(value);
  return {
    key: text(pair, 'key'),
    value: text(pair, 'value'),
    modRevision: number(pair, 'mod_revision'),
    version: number(pair, 'version'),
  };
}

/** An answer that is not 2xx, with its status, so that a caller can tell what is worth another try. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly status: number;

  constructor(status: number, body: string) {
    super(`the answer was ${status}: ${body.slice(0, 200)}`);
    this.status = status;
  }
}

async function callJson(url: string, init: RequestInit): Promise<Map<string, unknown>> {
  const response = await fetch(url, init);
  const body = await response.text();
  if (!response.ok) throw new Refused(response.status, body);
  return members(JSON.parse(body));
}

export function members(value: unknown): Map<string, unknown> {
  return new Map(typeof value === 'object' && value !== null ? Object.entries(value) : []);
}

export function text(values: ReadonlyMap<string, unknown>, name: string): string {
  const value = values.get(name);
  if (typeof value !== 'string') throw new Error(`"${name}" is not a text`);
  return value;
}

export function number(values: ReadonlyMap<string, unknown>, name: string): number {
  const value = values.get(name);
  if (typeof value !== 'number') throw new Error(`"${name}" is not a number`);
  return value;
}
