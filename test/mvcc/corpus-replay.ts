// Replays the unary calls of a recorded conversation against a store alone: the wire parses and answers, and each call
// is applied as a log entry of its own. Calls that need more than a store (streams, locks, members) are left out; where
// such a call changed something, the replay ends.

import { expect } from 'vitest';
import { assert } from '../../src/base/assert.ts';
import { leaseId } from '../../src/model/brands.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { type ApiCall, type ApiRequest, parseCall, type RequestHeaders } from '../../src/api/call.ts';
import {
  type Framed,
  framed,
  outcomeOfQuery,
  outcomeOfWrite,
  refusedByStore,
  respond,
} from '../../src/api/store-call.ts';
import type { CallOutcome, StoreCall } from '../../src/model/calls.ts';
import type { Caller, Operation, Outcome } from '../../src/model/store.ts';
import { decodeAnswer, encodeAnswer } from '../../src/session/answer-codec.ts';
import { decodeCall, encodeCall, fitsFrame } from '../../src/session/call-codec.ts';
import type { Call, Conversation } from '../conformance/conversation.ts';
import { bodyText, type HttpAnswer, matchHttpAnswer } from '../conformance/http-call.ts';
import { type Captures, fillInText } from '../conformance/placeholders.ts';
import { NodeSql } from '../support/node-sql.ts';
import { Fed, service } from './requests.ts';

const keyId = 'key';
const nowMs = 1_000;
const tokenHeaders = ['authorization', 'grpc-metadata-token', 'grpc-metadata-authorization'] as const;

export type Replayed = { readonly compared: number; readonly differences: readonly string[] };

/** A token is a number here, and this list has what each token says. */
type Token = { readonly name: string; readonly authRevision: number };

/**
 * `frames`: true: each call that can be a frame crosses to the store as one, and so does its outcome, as a session or
 * the gateway sends them.
 */
export async function replayOnStore(
  conversation: Conversation,
  { frames = false }: { readonly frames?: boolean } = {},
): Promise<Replayed & { readonly framed: number }> {
  const replay = new StoreReplay(frames);
  const captures: Captures = new Map();
  const differences: string[] = [];
  let compared = 0;
  for (const { line, action } of conversation.steps) {
    if (action.kind !== 'call') continue;
    const response = replay.answer(action.call, captures);
    if (response === null && changesSomething(action.call) && action.answer.status === 200) break;
    if (response === null) continue;
    const difference = matchHttpAnswer(action.answer, await readResponse(response), captures);
    compared++;
    if (difference !== null) differences.push(`${conversation.file}:${line} ${action.call.path}: ${difference}`);
  }
  return { compared, differences, framed: replay.framed };
}

function changesSomething(call: Call): boolean {
  return /\/(lock|unlock|campaign|proclaim|resign|downgrade|add|remove|update|promote)$/.test(call.path);
}

async function readResponse(response: Response): Promise<HttpAnswer> {
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers.entries()),
    body: await response.text(),
  };
}

class StoreReplay {
  readonly #fed = new Fed(new NodeSql());
  #candidate = 1_000_000;
  readonly #tokens = new Map<string, Token>();

  readonly #frames: boolean;
  framed = 0;

  constructor(frames: boolean) {
    this.#frames = frames;
    const accessKey = {
      id: keyId,
      role: 'admin',
      prefix: utf8(''),
      expiresAtMs: null,
      createdAtMs: 0,
      name: '',
    } as const;
    this.#fed.do({ kind: 'createAccessKey', accessKey });
  }

  /** Null: a store alone cannot answer this call. */
  answer(call: Call, captures: Captures): Response | null {
    const request = requestOf(call, captures);
    return this.#serve(parseCall(request), this.#callerOf(request.headers));
  }

  #callerOf(headers: RequestHeaders): Caller {
    const given = tokenHeaders.map((name) => headers.get(name)).find((value) => value !== null) ?? null;
    if (given === null) return { kind: 'anonymous', id: keyId, token: 'none' };
    const token = this.#tokens.get(given.startsWith('Bearer ') ? given.slice('Bearer '.length) : given);
    if (token === undefined) return { kind: 'anonymous', id: keyId, token: 'invalid' };
    return { kind: 'user', id: keyId, ...token };
  }

  #serve(call: ApiCall, caller: Caller): Response | null {
    if (call.kind === 'refused') return call.response;
    const byFrame = this.#frames ? framed(call) : null;
    if (byFrame !== null && fitsFrame(byFrame.asked)) return this.#serveFrame(byFrame, caller);
    if (call.kind === 'write') return call.respond(this.#write(call.operation, caller), this.#header()).toResponse();
    if (call.kind === 'password') {
      return call.respond(this.#write(call.operation(hashOf(call.password)), caller), this.#header()).toResponse();
    }
    if (call.kind === 'authenticate') {
      return call.respond(this.#authenticate(call.name, call.password), this.#header()).toResponse();
    }
    return this.#read(call, caller);
  }

  #serveFrame({ call, asked }: Framed, caller: Caller): Response {
    this.framed++;
    const decoded = decodeCall(encodeCall(asked));
    assert(decoded.kind === 'call', `${call.kind} came through as ${decoded.kind}`);
    expect(decoded.call).toEqual(asked);
    const outcome = this.#ask(decoded.call, caller);
    const answer = decodeAnswer(encodeAnswer({ kind: 'answered', header: this.#header(), outcome }));
    assert(answer?.kind === 'answered', 'an answer comes through');
    expect(answer.outcome).toEqual(outcome);
    return respond(call, answer.outcome, answer.header).toResponse();
  }

  #ask(asked: StoreCall, caller: Caller): CallOutcome {
    const { store } = this.#fed;
    if (asked.kind === 'write') return outcomeOfWrite(this.#write(asked.operation, caller));
    if (asked.kind === 'read') {
      const failure = store.authorizeRange(caller, asked.request, nowMs);
      if (failure !== null) return refusedByStore(failure);
      const result = store.range(asked.request);
      return result.kind === 'failed' ? refusedByStore(result.failure) : { kind: 'range', answer: result.answer };
    }
    if (asked.query.kind !== 'timeToLive') return outcomeOfQuery(store.query(asked.query, caller, nowMs));
    const result = store.query(asked.query, caller, nowMs);
    if (result.kind === 'failed') return refusedByStore(result.failure);
    const remainingSeconds = result.answer.lease?.ttlSeconds ?? null;
    return { kind: 'timeToLive', revision: result.revision, answer: result.answer, remainingSeconds };
  }

  #read(call: ApiCall, caller: Caller): Response | null {
    const { store } = this.#fed;
    if (call.kind === 'read') {
      const failure = store.authorizeRange(caller, call.request, nowMs);
      const result = failure === null ? store.range(call.request) : ({ kind: 'failed', failure } as const);
      return call.respond(result, this.#header()).toResponse();
    }
    if (call.kind === 'timeToLive') {
      const result = store.query(call.query, caller, nowMs);
      const lease = result.kind === 'answer' ? result.answer.lease : null;
      return call.respond(result, lease?.ttlSeconds ?? null, this.#header()).toResponse();
    }
    if (call.kind !== 'query' && call.kind !== 'keepAlive') return null;
    return call.respond(store.query(call.query, caller, nowMs), this.#header()).toResponse();
  }

  #write(parsed: Operation, caller: Caller): Outcome {
    const candidate = leaseId(BigInt(++this.#candidate));
    const operation = parsed.kind === 'leaseGrant' ? { ...parsed, candidate } : parsed;
    return this.#fed.do(operation, caller, nowMs);
  }

  #authenticate(name: string, password: string): Parameters<Extract<ApiCall, { kind: 'authenticate' }>['respond']>[0] {
    const result = this.#fed.store.query<'credential'>({ kind: 'credential', name }, service, nowMs);
    if (result.kind === 'failed') return result;
    if (result.answer.passwordHash !== hashOf(password)) {
      return { kind: 'failed', failure: { kind: 'authenticationFailed' } };
    }
    const token = `token.${this.#tokens.size + 1}`;
    this.#tokens.set(token, { name, authRevision: result.answer.authRevision });
    return { kind: 'answer', answer: { token, revision: result.revision } };
  }

  #header(): { clusterId: string; memberId: string; raftTerm: number; revision: number } {
    return { clusterId: '1', memberId: '2', raftTerm: 3, revision: this.#fed.store.revision };
  }
}

function hashOf(password: string): string {
  return `hash of ${password}`;
}

function requestOf(call: Call, captures: Captures): ApiRequest {
  const [path, query = ''] = call.path.split('?');
  assert(path !== undefined, 'a path has a beginning');
  const headers = new Headers();
  for (const [name, value] of Object.entries(call.headers)) {
    if (value !== null) headers.set(name, fillInText(value, captures));
  }
  return { method: call.method, path, query, headers, body: utf8(bodyText(call.body, captures) ?? '') };
}
