// One client of the run: etcd's JSON calls over HTTP, one after the other, and what it was told. A call whose answer is lost may have
// been done or not; some clients send it again under the same Idempotency-Key, and then it must be done once.

import { setTimeout as sleep } from 'node:timers/promises';
import { unreachable } from '../../src/assert.ts';
import { noLease } from '../../src/brands.ts';
import { emptyBytes, utf8 } from '../../src/bytes.ts';
import { compareResult, type Operation, type TxnOperation } from '../../src/model.ts';
import type { ClientAction } from '../sim/client-operation.ts';
import type { HistoryEntry, Told } from '../sim/linearizability.ts';
import type { PlainOutcome, PlainPair, PlainPart, PlainRange } from '../sim/plain.ts';
import type { Random } from '../sim/random.ts';
import { everyKey, rangeRequest } from '../sim/requests.ts';

export const keys = ['a', 'b', 'c', 'd'] as const;
/** Longer than the service waits: a call that takes this long has lost its answer. */
const answerWaitMs = 15_000;
const attemptsMax = 4;

export type CallerOptions = {
  readonly number: number;
  readonly random: Random;
  readonly store: () => { readonly url: string; readonly key: string };
  readonly nowMs: () => number;
  readonly count: (what: string) => void;
};

type Answer = { readonly kind: 'answered'; readonly body: Json } | { readonly kind: 'lost' | 'refused' | 'unsent' };
type Json = { readonly [name: string]: unknown };

export class Caller {
  readonly entries: HistoryEntry[] = [];
  /** Names of writes that were answered as failed: nobody may ever see them. */
  readonly refused: string[] = [];
  readonly #options: CallerOptions;
  readonly #seen = new Map<string, number>();
  #calls = 0;

  constructor(options: CallerOptions) {
    this.#options = options;
  }

  async run(isOver: () => boolean): Promise<void> {
    const { random } = this.#options;
    while (!isOver()) {
      await this.#once();
      await sleep(random.exponential(15));
    }
  }

  async #once(): Promise<void> {
    const { number, nowMs, count, random } = this.#options;
    const name = `c${number}-${++this.#calls}`;
    const action = this.#next(name);
    const calledMs = nowMs();
    const repeats = number % 2 === 0;
    let answer: Answer = { kind: 'lost' };
    for (let attempt = 0; attempt < (repeats ? attemptsMax : 1) && answer.kind === 'lost'; attempt++) {
      if (attempt > 0) {
        count('attempts repeated');
        await sleep(random.exponential(200));
      }
      const sent = await this.#send(name, action);
      answer = sent.kind === 'unsent' && attempt > 0 ? { kind: 'lost' } : sent;
    }
    count(`calls ${answer.kind}`);
    const asked = { name, action, calledMs };
    if (answer.kind === 'answered') {
      const told = toldBy(action, answer.body);
      this.#learn(told);
      this.entries.push({ ...asked, answeredMs: nowMs(), told });
    } else if (answer.kind === 'unsent') {
      await sleep(50);
    } else if (action.kind === 'write') {
      if (answer.kind === 'refused') this.refused.push(name);
      else this.entries.push({ ...asked, answeredMs: Number.POSITIVE_INFINITY, told: null });
    }
  }

  #next(name: string): ClientAction {
    const { random } = this.#options;
    const key = random.pick(keys);
    const kind = random.pick(['put', 'put', 'guarded', 'guarded', 'delete', 'read', 'read'] as const);
    switch (kind) {
      case 'put':
        return { kind: 'write', operation: put(key, name) };
      case 'delete': {
        const request = { key: utf8(key), rangeEnd: emptyBytes, previous: true };
        return { kind: 'write', operation: { kind: 'deleteRange', request } };
      }
      case 'guarded': {
        const [compared, other] = [key, random.pick(keys.filter((one) => one !== key))];
        const operand = this.#seen.get(compared) ?? 0;
        const one = {
          key: utf8(compared),
          rangeEnd: emptyBytes,
          result: compareResult.equal,
          target: 'mod',
          operand,
        } as const;
        const success: TxnOperation[] = [put(compared, name), put(other, `${name}+`)];
        const failure: TxnOperation[] = [{ kind: 'range', request: everything() }];
        return { kind: 'write', operation: { kind: 'txn', request: { compare: [one], success, failure } } };
      }
      case 'read':
        return { kind: 'read', request: everything() };
      default:
        return unreachable(kind);
    }
  }

  #learn(told: Told): void {
    if (told.kind === 'read' && typeof told.answer !== 'string') {
      for (const { key, mod } of told.answer.kvs) this.#seen.set(key, mod);
    }
  }

  async #send(name: string, action: ClientAction): Promise<Answer> {
    const { url, key } = this.#options.store();
    const { path, body } = requestOf(action);
    try {
      const response = await fetch(`${url}${path}`, {
        method: 'POST',
        headers: { 'Quorate-Key': key, 'Idempotency-Key': name },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(answerWaitMs),
      });
      const text = await response.text();
      if (response.status === 200) return { kind: 'answered', body: JSON.parse(text) as Json };
      // Of a 5xx nobody knows what became of the call; what the service refuses was not done.
      return { kind: response.status >= 500 ? 'lost' : 'refused' };
    } catch (error) {
      return { kind: isUnsent(error) ? 'unsent' : 'lost' };
    }
  }
}

/** Nobody listened: the call never left. Of a repeated one an earlier attempt may have. */
function isUnsent(error: unknown): boolean {
  const cause: unknown = error instanceof Error ? error.cause : null;
  return typeof cause === 'object' && cause !== null && Reflect.get(cause, 'code') === 'ECONNREFUSED';
}

function put(key: string, value: string): Extract<TxnOperation, { kind: 'put' }> & Operation {
  const request = { key: utf8(key), value: utf8(value), lease: noLease };
  return { kind: 'put', request: { ...request, previous: false, ignoreValue: false, ignoreLease: false } };
}

function everything(): ReturnType<typeof rangeRequest> {
  return rangeRequest(everyKey, { serializable: false, revision: 0 });
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function requestOf(action: ClientAction): { readonly path: string; readonly body: Json } {
  if (action.kind === 'read')
    return { path: '/v3/kv/range', body: operationJson({ kind: 'range', request: action.request }) };
  if (action.kind !== 'write') throw new Error(`nobody here asks for ${action.kind}`);
  const { operation } = action;
  if (operation.kind === 'put') return { path: '/v3/kv/put', body: operationJson(operation) };
  if (operation.kind === 'deleteRange') return { path: '/v3/kv/deleterange', body: operationJson(operation) };
  if (operation.kind !== 'txn') throw new Error(`nobody here asks for ${operation.kind}`);
  const { compare, success, failure } = operation.request;
  const body = {
    compare: compare.map((one) => ({
      key: base64(one.key),
      target: 'MOD',
      result: 'EQUAL',
      mod_revision: String('operand' in one ? one.operand : 0),
    })),
    success: success.map(partJson),
    failure: failure.map(partJson),
  };
  return { path: '/v3/kv/txn', body };
}

function partJson(part: TxnOperation): Json {
  const name = part.kind === 'put' ? 'request_put' : part.kind === 'range' ? 'request_range' : 'request_delete_range';
  return { [name]: operationJson(part) };
}

function operationJson(operation: TxnOperation): Json {
  if (operation.kind === 'put') {
    return { key: base64(operation.request.key), value: base64(operation.request.value) };
  }
  if (operation.kind === 'range') {
    return { key: base64(operation.request.key), range_end: base64(operation.request.rangeEnd) };
  }
  if (operation.kind !== 'deleteRange') throw new Error(`nobody here asks for ${operation.kind}`);
  return { key: base64(operation.request.key), prev_kv: operation.request.previous };
}

// What the answers say

function toldBy(action: ClientAction, body: Json): Told {
  const revision = numberOf(object(body['header'])['revision']);
  if (action.kind === 'read') return { kind: 'read', revision, answer: rangeOf(body) };
  if (action.kind !== 'write') throw new Error(`nobody here asks for ${action.kind}`);
  return { kind: 'write', outcome: outcomeOf(action.operation, body, revision) };
}

function outcomeOf(operation: Operation, body: Json, revision: number): PlainOutcome {
  if (operation.kind === 'put') return { kind: 'put', revision, previous: null };
  if (operation.kind === 'deleteRange') return { kind: 'deleteRange', revision, ...deletedOf(body) };
  const parts = list(body['responses']).map(object).map(partOf);
  return { kind: 'txn', revision, succeeded: body['succeeded'] === true, parts };
}

function partOf(response: Json): PlainPart {
  const range = response['response_range'];
  if (range === undefined) {
    const made = object(response['response_put']);
    return { kind: 'put', revision: numberOf(object(made['header'])['revision']), previous: null };
  }
  const read = object(range);
  return { kind: 'range', revision: numberOf(object(read['header'])['revision']), answer: rangeOf(read) };
}

function rangeOf(body: Json): PlainRange {
  return { kvs: list(body['kvs']).map(pairOf), count: numberOf(body['count']), more: body['more'] === true };
}

function deletedOf(body: Json): { readonly deleted: number; readonly previous: readonly PlainPair[] } {
  return { deleted: numberOf(body['deleted']), previous: list(body['prev_kvs']).map(pairOf) };
}

function pairOf(value: unknown): PlainPair {
  const pair = object(value);
  return {
    key: textOf(pair['key']),
    value: textOf(pair['value']),
    create: numberOf(pair['create_revision']),
    mod: numberOf(pair['mod_revision']),
    version: numberOf(pair['version']),
    lease: String(numberOf(pair['lease'])),
  };
}

function object(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function numberOf(value: unknown): number {
  return Number(value ?? 0);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? Buffer.from(value, 'base64').toString('latin1') : '';
}
