// Replays one conversation against one fresh store, step by step, and reports every line whose answer does not match.

import { Agent, type ClientRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { endpointOf } from '../../src/api/routes.ts';
import { unreachable } from '../../src/base/assert.ts';
import type { Action, Answer, Call, Conversation, Step } from './conversation.ts';
import { answerOf, answerWaitMs, bodyText, callHeaders, matchHead, matchHttpAnswer, sendCall } from './http-call.ts';
import type { HttpAnswer } from './http-call.ts';
import { UnknownCapture, type Captures } from './placeholders.ts';
import { GrpcCalls } from './grpc-call.ts';
import { matchSnapshot } from './snapshot.ts';
import type { Store } from './store.ts';
import { OpenStream } from './open-stream.ts';
import { Stream } from './stream.ts';
import { openWebSocket } from '../support/websocket-client.ts';

export type Difference = {
  readonly file: string;
  readonly line: number;
  readonly reason: string;
  /** The whole answer with its status, if one came over HTTP. */
  readonly answer: string | null;
};
/** `byGrpc`: how many steps went by gRPC. `slowestCallMs`: of the calls that wait for nothing. */
export type Replay = {
  readonly compared: number;
  readonly byGrpc: number;
  readonly slowestCallMs: number;
  readonly differences: readonly Difference[];
};

/** The pause between two tries of a call with `retry_ms`. */
const retryPauseMs = 50;

export async function replay(conversation: Conversation, store: Store): Promise<Replay> {
  const replayer = new Replayer(conversation, store);
  try {
    for (const step of conversation.steps) await replayer.run(step);
  } finally {
    replayer.close();
  }
  const { compared, byGrpc, slowestCallMs, differences } = replayer;
  return { compared, byGrpc, slowestCallMs, differences };
}

class Replayer {
  compared = 0;
  slowestCallMs = 0;
  readonly differences: Difference[] = [];
  readonly #file: string;
  readonly #store: Store;
  readonly #captures: Captures = new Map();
  readonly #started = new Map<string, Promise<HttpAnswer | Error>>();
  readonly #streams = new Map<string, OpenStream>();
  /** Calls go one after the other over one connection. A call that waits has a connection of its own. */
  #lastAnswer: string | null = null;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #grpc: GrpcCalls | null;

  constructor(conversation: Conversation, store: Store) {
    this.#file = conversation.file;
    this.#store = store;
    this.#grpc = store.byGrpc ? new GrpcCalls(store) : null;
  }

  get byGrpc(): number {
    return this.#grpc?.count ?? 0;
  }

  async run(step: Step): Promise<void> {
    this.#lastAnswer = null;
    try {
      for (const reason of await this.#act(step.action)) this.#differ(step.line, reason);
    } catch (error) {
      // A step that cannot be sent, because an earlier answer did not bring what it needs, is a difference of its own.
      if (!(error instanceof UnknownCapture)) throw error;
      this.#differ(step.line, error.message);
    }
  }

  close(): void {
    for (const { stream } of this.#streams.values()) stream.close();
    this.#agent.destroy();
    this.#grpc?.close();
  }

  #differ(line: number, reason: string): void {
    this.differences.push({ file: this.#file, line, reason, answer: this.#lastAnswer });
  }

  async #act(action: Action): Promise<readonly string[]> {
    switch (action.kind) {
      case 'call':
        return await this.#timed(this.#call(action.call, action.answer, action.retryMs), action.retryMs);
      case 'start':
        this.#started.set(action.id, settle(this.#ask(action.call, false, startedWaitMs)));
        return [];
      case 'finish':
        return await this.#finish(action.id, action.answer);
      case 'openPost': {
        const byGrpc = this.#grpc?.open(action.call, this.#captures, 'post') ?? null;
        const stream = byGrpc ?? Stream.ofPost(this.#send(action.call, false));
        const opened = new OpenStream(stream, action.byWatch);
        opened.noteRequest(bodyText(action.call.body, this.#captures));
        this.#streams.set(action.id, opened);
        return [];
      }
      case 'openWebSocket':
        return await this.#openWebSocket(action.id, action.call, action.answer, action.byWatch);
      case 'send':
        return this.#stream(action.id).send(bodyText(action.body, this.#captures) ?? '');
      case 'expect':
        this.compared += action.messages.length;
        return await this.#stream(action.id).expect(action, this.#captures);
      case 'gather':
        for (const items of action.watches.values()) this.compared += items.length;
        return await this.#stream(action.id).gather(action, this.#captures);
      case 'progress':
        this.compared++;
        return await this.#stream(action.id).progress(action.revision);
      case 'quiet':
        this.compared++;
        await sleep(action.ms);
        return this.#stream(action.id).unasked();
      case 'close':
        return this.#closeStream(action.id);
      case 'snapshot':
        this.compared++;
        return matchSnapshot(
          await settle(answerOf(this.#send(action.call, false), answerWaitMs)),
          action.messagesAtLeast,
        );
      case 'sleep':
        await sleep(action.ms);
        return [];
      default:
        return unreachable(action);
    }
  }

  async #timed<Value>(step: Promise<Value>, mayTakeMs: number): Promise<Value> {
    const beganMs = performance.now();
    const value = await step;
    this.slowestCallMs = Math.max(this.slowestCallMs, performance.now() - beganMs - mayTakeMs);
    return value;
  }

  async #call(call: Call, recorded: Answer, retryMs: number): Promise<readonly string[]> {
    this.compared++;
    const deadline = Date.now() + retryMs;
    for (;;) {
      const answer = await this.#answerTo(call, recorded);
      this.#lastAnswer = answerText(answer);
      // A try that does not count must not leave captures behind.
      const captures = new Map(this.#captures);
      const difference = matchSettled(recorded, answer, captures);
      if (difference !== null && Date.now() < deadline) {
        await sleep(retryPauseMs);
        continue;
      }
      for (const [name, value] of captures) this.#captures.set(name, value);
      return difference === null ? [] : [difference];
    }
  }

  /**
   * A call that is the operator's alone is refused to the owner of the store in etcd's words, and is then sent as the
   * operator.
   */
  async #answerTo(call: Call, recorded: Answer): Promise<HttpAnswer | Error> {
    const answer = await settle(this.#ask(call, this.#agent, answerWaitMs));
    const headers = this.#store.operatorHeaders;
    if (headers === null || !isOperators(call.path) || !isDenied(answer) || recorded.status === 403) return answer;
    const asOperator = sendCall({ ...this.#store, headers }, call, this.#captures, this.#agent);
    return settle(answerOf(asOperator, answerWaitMs));
  }

  async #finish(id: string, recorded: Answer): Promise<readonly string[]> {
    this.compared++;
    const started = this.#started.get(id);
    if (started === undefined) throw new Error(`nothing was started as ${id}`);
    const late = sleep(answerWaitMs, new Error(`no answer within ${answerWaitMs} ms`), { ref: false });
    const answer = await Promise.race([started, late]);
    this.#lastAnswer = answerText(answer);
    const difference = matchSettled(recorded, answer, this.#captures);
    return difference === null ? [] : [difference];
  }

  async #openWebSocket(id: string, call: Call, recorded: Answer, byWatch: boolean): Promise<readonly string[]> {
    this.compared++;
    const byGrpc = recorded.status === 101 ? (this.#grpc?.open(call, this.#captures, 'websocket') ?? null) : null;
    if (byGrpc !== null) {
      this.#streams.set(id, new OpenStream(byGrpc, byWatch));
      return [];
    }
    const headers = callHeaders(this.#store, call, this.#captures);
    const upgrade = await settle(openWebSocket(new URL(call.path, this.#store.url), headers, answerWaitMs));
    if (upgrade instanceof Error || upgrade.socket === null) {
      this.#streams.set(id, new OpenStream(Stream.failed(), byWatch));
    } else {
      const stream = Stream.ofWebSocket(upgrade.status, upgrade.socket);
      this.#streams.set(id, new OpenStream(stream, byWatch));
      upgrade.socket.start();
    }
    if (upgrade instanceof Error) return [upgrade.message];
    const difference = matchHead(recorded, upgrade);
    return difference === null ? [] : [difference];
  }

  #closeStream(id: string): readonly string[] {
    const opened = this.#stream(id);
    const unasked = opened.unasked();
    opened.stream.close();
    this.#streams.delete(id);
    return unasked;
  }

  #ask(call: Call, agent: Agent | false, waitMs: number): Promise<HttpAnswer> {
    const byGrpc = this.#grpc?.answer(call, this.#captures, waitMs) ?? null;
    return byGrpc ?? answerOf(this.#send(call, agent), waitMs);
  }

  #send(call: Call, agent: Agent | false): ClientRequest {
    return sendCall(this.#store, call, this.#captures, agent);
  }

  #stream(id: string): OpenStream {
    const stream = this.#streams.get(id);
    if (stream === undefined) throw new Error(`no stream is open as ${id}`);
    return stream;
  }
}

function isDenied(answer: HttpAnswer | Error): boolean {
  return !(answer instanceof Error) && answer.status === 403 && answer.body.includes('etcdserver: permission denied');
}

/** The answer to a started request may come late. `finish` bounds how long it is waited for. */
const startedWaitMs = 120_000;

function answerText(answer: HttpAnswer | Error): string | null {
  return answer instanceof Error ? null : `${answer.status} ${answer.body.trim()}`;
}

function matchSettled(recorded: Answer, answer: HttpAnswer | Error, captures: Captures): string | null {
  return answer instanceof Error ? answer.message : matchHttpAnswer(recorded, answer, captures);
}

/** A failed request counts as an answer that differs from every recorded one. */
function settle<Value>(promise: Promise<Value>): Promise<Value | Error> {
  return promise.catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
}

function isOperators(path: string): boolean {
  return endpointOf({ method: 'POST', path, headers: new Headers() }).operatorAccess !== 'none';
}
