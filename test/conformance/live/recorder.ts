// Does the steps of a random session at a real etcd and writes its answers down as a conversation, with which the
// replayer then compares Quorate. A step that needs what never came (the token of a user who could not log in) is left
// out.

import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { unreachable } from '../../../src/base/assert.ts';
import { openWebSocket } from '../../support/websocket-client.ts';
import {
  isObject,
  type Action,
  type Answer,
  type Call,
  type Conversation,
  type Json,
  type Step,
} from '../conversation.ts';
import { answerOf, answerWaitMs, bodyText, callHeaders, parseJson, sendCall, type HttpAnswer } from '../http-call.ts';
import { UnknownCapture, type Captures } from '../placeholders.ts';
import type { Store } from '../store.ts';
import { Stream } from '../stream.ts';
import { asksForFragments, WatchItems, type WatchItem } from '../watch-items.ts';
import { post, type Capture, type Planned } from './plan.ts';
import { recordedAnswer, recordedBody, recordedMessage } from './recorded-answer.ts';
import type { Session } from './session.ts';

/**
 * etcd looks for watches that are behind every 100 ms; a stream on which nothing came for three times as long is quiet.
 */
const quietMs = 320;
/** A call that has no answer after this time waits for its turn. */
const waitingMs = 200;
const pollMs = 20;
const placeWaitMs = 5_000;
const progressWaitMs = 600;

export type Recording = {
  readonly conversation: Conversation;
  /** The step of the session that made each line. */
  readonly plannedOf: ReadonlyMap<number, number>;
};

export async function record(session: Session, store: Store): Promise<Recording> {
  const recorder = new Recorder(store);
  try {
    for (const [index, planned] of session.steps.entries()) await recorder.run(planned, index);
    await recorder.end(session.steps.length);
  } finally {
    recorder.close();
  }
  const name = `live-${session.seed}.jsonl`;
  const about = `Random session about ${session.kind}, seed ${session.seed}`;
  return { conversation: { file: name, about, steps: recorder.steps }, plannedOf: recorder.plannedOf };
}

type Pending = {
  readonly id: string;
  readonly path: string;
  readonly capture: Capture | null;
  came: HttpAnswer | Error | null;
};
type Opened = { readonly path: string; readonly stream: Stream; readonly items: WatchItems | null };

class Recorder {
  readonly steps: Step[] = [];
  readonly plannedOf = new Map<number, number>();
  readonly #store: Store;
  /** Values that differ from server to server, which stand as placeholders in what is written down. */
  readonly #own: Captures = new Map();
  readonly #shared: Captures = new Map();
  readonly #streams = new Map<string, Opened>();
  readonly #pending: Pending[] = [];
  readonly #compacted = new Set<number>();
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  #planned = 0;
  #started = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  async run(planned: Planned, index: number): Promise<void> {
    this.#planned = index;
    try {
      await this.#act(planned);
    } catch (error) {
      if (error instanceof UnknownCapture) return;
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`${reason}, at step ${index}: ${JSON.stringify(planned)}`, { cause: error });
    }
    await this.#finishWhatCame();
    await this.#gather([...this.#streams].filter(([, { items }]) => items === null));
  }

  async end(index: number): Promise<void> {
    this.#planned = index;
    await this.#gather([...this.#streams]);
  }

  close(): void {
    for (const { stream } of this.#streams.values()) stream.close();
    this.#agent.destroy();
  }

  #write(action: Action): void {
    const line = this.steps.length + 2;
    this.steps.push({ line, action });
    this.plannedOf.set(line, this.#planned);
  }

  async #act(planned: Planned): Promise<void> {
    switch (planned.kind) {
      case 'call':
        return await this.#call(this.#resolve(planned.call), planned.capture, 0);
      case 'wait':
        return await this.#wait(planned);
      case 'brief':
        return await this.#brief(planned.call);
      case 'open':
        return await this.#open(planned);
      case 'send':
        return await this.#send(planned);
      case 'gather':
        return await this.#gather([...this.#streams]);
      case 'progress':
        return await this.#progress(planned.id);
      case 'close':
        return await this.#closeStream(planned.id);
      default:
        return unreachable(planned);
    }
  }

  async #call(call: Call, capture: Capture | null, retryMs: number): Promise<void> {
    if (capture?.kind === 'own' && capture.member === 'ID' && this.#own.has(capture.name)) return;
    if (this.#asksForKeptHash(call)) return;
    const answer = await answerOf(sendCall(this.#store, call, this.#own, this.#agent), answerWaitMs);
    if (call.path === '/v3/kv/compaction' && answer.status === 200) this.#compacted.add(revisionIn(call));
    this.#write({ kind: 'call', call, answer: this.#recorded(answer, call.path, capture), retryMs });
  }

  /**
   * The one question that is not asked. etcd keeps the hash that it computed while it compacted, under the revision of
   * the compaction before, on that member alone and until its process ends. Quorate computes each hash anew, the same
   * on every replica.
   */
  #asksForKeptHash(call: Call): boolean {
    return call.path === '/v3/maintenance/hashkv' && this.#compacted.has(revisionIn(call));
  }

  /**
   * Where no answer comes, a read of the call's place in the queue makes sure that the replayed call waits, too, before
   * the replay goes on.
   */
  async #wait(planned: Extract<Planned, { kind: 'wait' }>): Promise<void> {
    const call = this.#resolve(planned.call);
    const id = `waiting${this.#started++}`;
    const pending: Pending = { id, path: call.path, capture: planned.capture, came: null };
    const settled = answerOf(sendCall(this.#store, call, this.#own, false), 120_000).then(
      (answer) => (pending.came = answer),
      (error: unknown) => (pending.came = error instanceof Error ? error : new Error(String(error))),
    );
    await Promise.race([settled, sleep(waitingMs)]);
    if (pending.came !== null) {
      if (pending.came instanceof Error) throw pending.came;
      const answer = this.#recorded(pending.came, call.path, planned.capture);
      this.#write({ kind: 'call', call, answer, retryMs: 0 });
      return;
    }
    this.#pending.push(pending);
    this.#write({ kind: 'start', id, call });
    this.#write({ kind: 'sleep', ms: waitingMs });
    await this.#call(post('/v3/kv/range', planned.place), null, placeWaitMs);
  }

  /** After each step, calls whose turn has come are finished, so that no later step meets them half-way. */
  async #finishWhatCame(): Promise<void> {
    if (this.#pending.length === 0) return;
    await sleep(waitingMs);
    for (const pending of this.#pending.filter(({ came }) => came !== null)) {
      if (pending.came === null || pending.came instanceof Error) throw pending.came ?? new Error('nothing came');
      const answer = this.#recorded(pending.came, pending.path, pending.capture);
      this.#write({ kind: 'finish', id: pending.id, answer });
      this.#pending.splice(this.#pending.indexOf(pending), 1);
    }
  }

  async #brief(call: Call): Promise<void> {
    const stream = Stream.ofPost(sendCall(this.#store, call, this.#own, false));
    await stream.until(() => stream.ended, answerWaitMs);
    const id = `brief${this.#started++}`;
    this.#write({ kind: 'openPost', id, call, byWatch: false });
    const messages = stream.messages.map((message) => recordedMessage(message, call.path, this.#own));
    const status = stream.status === 200 ? null : stream.status;
    this.#write({ kind: 'expect', id, messages, status, end: true });
  }

  async #open({ id, as, call }: Extract<Planned, { kind: 'open' }>): Promise<void> {
    await this.#closeStream(id);
    const byWatch = call.path === '/v3/watch';
    const items = byWatch ? new WatchItems() : null;
    const stream = as === 'post' ? this.#openPost(call) : await this.#openWebSocket(id, call);
    if (items !== null) {
      stream.onMessage = (message) => {
        items.add(message);
        return true;
      };
    }
    this.#streams.set(id, { path: call.path, stream, items });
    if (as === 'post') this.#write({ kind: 'openPost', id, call, byWatch });
    await this.#gather([...this.#streams].filter(([other]) => other === id));
    // Nothing tells that an observer has begun, so the replay gives it as long as etcd had.
    if (!byWatch) this.#write({ kind: 'sleep', ms: quietMs });
  }

  #openPost(call: Call): Stream {
    return Stream.ofPost(sendCall(this.#store, call, this.#own, false));
  }

  async #openWebSocket(id: string, call: Call): Promise<Stream> {
    const headers = callHeaders(this.#store, call, this.#own);
    const upgrade = await openWebSocket(new URL(call.path, this.#store.url), headers, answerWaitMs);
    const protocol = upgrade.headers['sec-websocket-protocol'];
    const answer: Answer = {
      status: upgrade.status,
      headers: protocol === undefined ? {} : { 'sec-websocket-protocol': protocol },
      content: { kind: 'any' },
    };
    this.#write({ kind: 'openWebSocket', id, call, byWatch: true, answer });
    if (upgrade.socket === null) return Stream.failed();
    const stream = Stream.ofWebSocket(upgrade.status, upgrade.socket);
    upgrade.socket.start();
    return stream;
  }

  async #send({ id, body }: Extract<Planned, { kind: 'send' }>): Promise<void> {
    const opened = this.#streams.get(id);
    if (opened === undefined || opened.stream.ended) return;
    const text = bodyText(body, this.#own) ?? '';
    if (opened.items !== null && asksForFragments(parseJson(text) ?? null)) opened.items.fragmentsWanted = true;
    opened.stream.send(text);
    this.#write({ kind: 'send', id, body });
    await this.#gather([[id, opened]]);
  }

  /** All messages that came on these streams, once the streams are quiet. */
  async #gather(streams: readonly (readonly [string, Opened])[]): Promise<void> {
    if (streams.length === 0) return;
    let waited = 0;
    let before = -1;
    while (waited < quietMs) {
      const came = streams.reduce((sum, [, opened]) => sum + messagesIn(opened), 0);
      waited = came === before ? waited + pollMs : 0;
      before = came;
      await sleep(pollMs);
    }
    for (const [id, opened] of streams) this.#writeWhatCame(id, opened);
  }

  #writeWhatCame(id: string, { path, stream, items }: Opened): void {
    if (items === null) {
      const messages = stream.messages.splice(0).map((message) => recordedMessage(message, path, this.#own));
      const status = stream.status === 200 ? null : stream.status;
      if (messages.length > 0) this.#write({ kind: 'expect', id, messages, status, end: false });
      return;
    }
    if (items.violations.length > 0) throw new Error(`etcd itself: ${items.violations.join('; ')}`);
    const watches = new Map<string, Json[]>();
    for (const [watch, queue] of items.queues) {
      if (queue.length > 0)
        watches.set(
          watch,
          queue.splice(0).map((item) => this.#recordedItem(item)),
        );
    }
    const fragmented = [...items.fragmented];
    items.fragmented.clear();
    if (watches.size > 0) this.#write({ kind: 'gather', id, watches, fragmented });
  }

  #recordedItem(item: WatchItem): Json {
    switch (item.kind) {
      case 'event':
        return recordedBody(item.event, '/v3/watch', this.#own);
      case 'message':
        return isObject(item.result) && 'error' in item.result
          ? recordedMessage(item.result, '/v3/watch', this.#own)
          : recordedBody(item.result, '/v3/watch', this.#own);
      default:
        return unreachable(item);
    }
  }

  /**
   * etcd answers only while every watch of the stream is up to date. Where it does not answer, nothing is written down.
   */
  async #progress(id: string): Promise<void> {
    const opened = this.#streams.get(id);
    if (opened === undefined || opened.items === null || opened.stream.ended) return;
    const { items, stream } = opened;
    await this.#gather([[id, opened]]);
    items.progress.length = 0;
    stream.send('{"progress_request":{}}');
    await stream.until(() => items.progress.length > 0, progressWaitMs);
    const revision = items.progress.at(-1);
    if (revision !== undefined) this.#write({ kind: 'progress', id, revision });
  }

  async #closeStream(id: string): Promise<void> {
    const opened = this.#streams.get(id);
    if (opened === undefined) return;
    await this.#gather([[id, opened]]);
    opened.stream.close();
    this.#streams.delete(id);
    this.#write({ kind: 'close', id });
  }

  /** Fills in values that are the same on every server, so that the conversation has the value itself. */
  #resolve(call: Call): Call {
    const { body } = call;
    if (body.kind !== 'json') return call;
    const text = JSON.stringify(body.value).replaceAll(/\$\{(revision_of_\w+)\}/g, (_whole, name: string) => {
      const value = this.#shared.get(name);
      if (typeof value !== 'string') throw new UnknownCapture(name);
      return value;
    });
    return { ...call, body: { kind: 'json', value: parseJson(text) ?? null } };
  }

  #recorded(answer: HttpAnswer, path: string, capture: Capture | null): Answer {
    const value = parseJson(answer.body) ?? null;
    if (capture === null || answer.status !== 200) return recordedAnswer(answer, path, this.#own);
    if (capture.kind === 'shared') {
      this.#shared.set(
        capture.name,
        capture.path.reduce<Json>((inner, name) => memberOf(inner, name), value),
      );
      return recordedAnswer(answer, path, this.#own);
    }
    this.#own.set(capture.name, memberOf(value, capture.member));
    const recorded = recordedAnswer(answer, path, this.#own);
    const { content } = recorded;
    if (content.kind !== 'json' || !isObject(content.value)) return recorded;
    const type = capture.member === 'ID' ? 'int64' : 'string';
    const body = { ...content.value, [capture.member]: `\${${capture.name}:${type}}` };
    return { ...recorded, content: { ...content, value: body } };
  }
}

/** Finds the member in any spelling. */
function revisionIn({ body }: Call): number {
  return body.kind === 'json' && isObject(body.value) ? Number(body.value['revision'] ?? 0) : 0;
}

function memberOf(value: Json, name: string): Json {
  return isObject(value) ? (value[name] ?? null) : null;
}

function messagesIn({ stream, items }: Opened): number {
  return stream.messages.length + (items === null ? 0 : items.unasked().length);
}
