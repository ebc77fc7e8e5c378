// Calls on the store that the gateway parses, sends as frames, and renders the answers of.

import { describe, expect, it } from 'vitest';
import { parseCall } from '../../src/api/call.ts';
import { servedByHeader } from '../../src/api/forwarded.ts';
import { readOf } from '../../src/api/requests.ts';
import type { FrameCall, ReplicaAnswer, ReplicaRequest } from '../../src/api/replica-request.ts';
import { emptyBytes, utf8 } from '../../src/base/bytes.ts';
import { isolateMemory } from '../../src/base/memory-budget.ts';
import { answerPieceBytes, keyBytesMax, memoryOfKeyBytesMax, valueBytesMax } from '../../src/limits.ts';
import { noLease, revision } from '../../src/model/brands.ts';
import type { CallAnswer } from '../../src/model/calls.ts';
import { isOutage } from '../../src/gateway/stub-calls.ts';
import type { ReplicaStub } from '../../src/gateway/env.ts';
import { askFrame } from '../../src/gateway/framed-call.ts';
import { type CallFrame, frameOf } from '../../src/routing/call-frame.ts';
import { encodeAnswer } from '../../src/session/answer-codec.ts';
import { decodeCall } from '../../src/session/call-codec.ts';

const header = { clusterId: '11', memberId: '12', raftTerm: 3, revision: 9 };
const holder = { tenant: 'framed', key: 'k' };
/** The counts of writes that replicas told. */
const counts: number[] = [];
const counted = (writes: number): void => void counts.push(writes);
const facts = {
  caller: { kind: 'accessKey', id: 'k' },
  writeId: 'w.1',
  mayBeAlone: false,
  askedAs: null,
  failedLeader: 2,
  suspectedLeader: 0,
} as const;

function parsed(method: string, target: string, body: string | Uint8Array = ''): CallFrame | null {
  const [path = '', query = ''] = target.split('?');
  const bytes = typeof body === 'string' ? utf8(body) : body;
  return frameOf(parseCall({ method, path, query, headers: new Headers(), body: bytes }));
}

function frame(method: string, target: string, body: string | Uint8Array = ''): CallFrame {
  const made = parsed(method, target, body);
  if (made === null) throw new Error(`${method} ${target} is no frame`);
  return made;
}

function found(value: Uint8Array): CallAnswer {
  const at = revision(2);
  const kv = { key: utf8('a'), value, createRevision: at, modRevision: at, version: 1, lease: noLease };
  return { kind: 'answered', header, outcome: { kind: 'range', answer: { kvs: [kv], more: false, count: 1 } } };
}

/** A replica that answers this, and what it was sent. */
function replica(answer: CallAnswer, inResponse = false): { readonly stub: ReplicaStub; readonly sent: FrameCall[] } {
  const sent: FrameCall[] = [];
  const ask = (request: ReplicaRequest): Promise<ReplicaAnswer> => {
    if (request.kind !== 'call') throw new Error('a call crosses as one');
    sent.push(request);
    const bytes = encodeAnswer(answer);
    return Promise.resolve({ replica: 3, answer: inResponse ? new Response(bytes) : bytes });
  };
  return { stub: { ask } as unknown as ReplicaStub, sent };
}

function asked(answer: CallAnswer): ReturnType<typeof askFrame> {
  return askFrame(replica(answer).stub, frame('GET', '/v1/kv/a'), facts, { holder, signal: null, counted });
}

describe('GATEWAY-31: a call on the store crosses as a frame', () => {
  it.each([
    ['POST', '/v3/kv/range', '{"key":"YQ=="}'],
    ['POST', '/v3/kv/put', '{"key":"YQ==","value":"YQ=="}'],
    ['POST', '/v3/kv/txn', '{}'],
    ['POST', '/v3/lease/timetolive', '{"ID":"5"}'],
    ['POST', '/v3/auth/user/get', '{"name":"root"}'],
    ['GET', '/v1/kv/a', ''],
    ['PUT', '/v1/kv/a', 'value'],
    ['DELETE', '/v1/kv?prefix=a', ''],
    ['POST', '/v1/leases', '{"ttl":5}'],
    ['POST', '/v1/leases/5/keepalive', ''],
  ])('%s %s', (method, target, body) => {
    expect(decodeCall(frame(method, target, body).bytes).kind).toBe('call');
  });

  it.each([
    ['POST', '/v3/kv/range', '{'],
    ['POST', '/v3/auth/role/add', '{"name":"r"}'],
    ['POST', '/v3/maintenance/hash', '{}'],
    ['POST', '/v3/lock/lock', '{"name":"YQ=="}'],
    ['GET', '/v1/status', ''],
  ])('and as the request that it came as where it is refused, rare or no question to the store: %s %s', (...call) => {
    expect(parsed(...call)).toBeNull();
  });

  it('and so does what v1 takes and is larger than a message of etcd', () => {
    const target = `/v1/kv/${'k'.repeat(keyBytesMax)}`;
    expect(parsed('PUT', target, new Uint8Array(valueBytesMax - 3 * keyBytesMax))).not.toBeNull();
    expect(parsed('PUT', target, new Uint8Array(valueBytesMax))).toBeNull();
  });
});

describe('GATEWAY-32: the answer to a frame is rendered where its call was parsed', () => {
  it('says what the replica found, and is told who calls and whom the gateway doubts', async () => {
    const { stub, sent } = replica(found(utf8('here')));
    const answer = await askFrame(stub, frame('GET', '/v1/kv/a'), facts, { holder, signal: null, counted });
    if (answer.kind !== 'done') throw new Error(answer.kind);
    expect(await answer.value.text()).toBe('here');
    expect(answer.value.headers.get('quorate-revision')).toBe('9');
    expect(answer.value.headers.has(servedByHeader)).toBe(false);
    expect(sent[0]).toMatchObject({ ...facts, kind: 'call', timeoutMs: null });
    expect(decodeCall(sent[0]?.call ?? emptyBytes)).toEqual({
      kind: 'call',
      call: { kind: 'read', request: readOf({ key: utf8('a'), rangeEnd: emptyBytes }) },
    });
  });

  it('names the replica where the caller asked for the nearest', async () => {
    const { stub } = replica(found(utf8('here')));
    const nearest = { ...facts, askedAs: 'nearest' } as const;
    const answer = await askFrame(stub, frame('GET', '/v1/kv/a'), nearest, { holder, signal: null, counted });
    expect(answer.kind === 'done' && answer.value.headers.get(servedByHeader)).toBe('3');
  });

  it('leads on where another replica leads, or none is there', async () => {
    const members = [{ number: 2, location: 'weur' }];
    expect(await asked({ kind: 'notLeader', leader: 2, members })).toEqual({ kind: 'redirect', leader: 2, members });
    expect(await asked({ kind: 'absent' })).toEqual({ kind: 'absent' });
  });

  it('comes in a response where it is large, and is held until it was read', async () => {
    const value = new Uint8Array(4 * answerPieceBytes).fill(7);
    const { stub } = replica(found(value), true);
    const read = frame('POST', '/v3/kv/range', '{"key":"YQ=="}');
    const answer = await askFrame(stub, read, facts, { holder, signal: null, counted });
    if (answer.kind !== 'done') throw new Error(answer.kind);
    expect(isolateMemory.bytes).toBeGreaterThan(value.byteLength);
    const { kvs } = await answer.value.json<{ kvs: { value: string }[] }>();
    expect(kvs[0]?.value.length).toBeGreaterThan(value.byteLength);
    expect(isolateMemory.bytes).toBe(0);
  });

  it('is refused where there is no memory for it; that to a write is held, and no write is sent once memory is full', async () => {
    const taken = isolateMemory.reserve(holder);
    expect(taken.hold(memoryOfKeyBytesMax - answerPieceBytes)).toBeNull();
    const value = new Uint8Array(4 * answerPieceBytes);
    const status = async (call: CallFrame, given: CallAnswer): Promise<number | null> => {
      const answer = await askFrame(replica(given, true).stub, call, facts, { holder, signal: null, counted });
      return answer.kind === 'done' ? answer.value.status : null;
    };
    expect(await status(frame('GET', '/v1/kv/a'), found(value))).toBe(429);
    const at = revision(2);
    const kv = { key: utf8('a'), value, createRevision: at, modRevision: at, version: 1, lease: noLease };
    const outcome = { kind: 'put', revision: at, answer: { previous: kv } } as const;
    const put = frame('POST', '/v3/kv/put', '{"key":"YQ==","value":"YQ==","prev_kv":true}');
    const written: CallAnswer = { kind: 'answered', header, outcome: { kind: 'written', outcome } };
    const done = await askFrame(replica(written, true).stub, put, facts, { holder, signal: null, counted });
    if (done.kind !== 'done') throw new Error(done.kind);
    expect(done.value.status).toBe(200);
    // The answer that nobody has read yet takes more than was left.
    const next = replica(written, true);
    const refused = await askFrame(next.stub, put, facts, { holder, signal: null, counted });
    expect([refused.kind === 'done' && refused.value.status, next.sent]).toEqual([429, []]);
    await done.value.text();
    taken.release();
    expect(isolateMemory.bytes).toBe(0);
  });

  it('that breaks off is an attempt that has failed', async () => {
    const body = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error('lost')) });
    const stub = { ask: () => Promise.resolve({ replica: 3, answer: new Response(body) }) } as unknown as ReplicaStub;
    const answer = askFrame(stub, frame('GET', '/v1/kv/a'), facts, { holder, signal: null, counted });
    expect(isOutage(await answer.catch((error: unknown) => error))).toBe(true);
  });

  it('ends with its attempt', async () => {
    const abort = new AbortController();
    let left = false;
    const body = new ReadableStream<Uint8Array>({ cancel: () => void (left = true) });
    const ask = () => Promise.resolve({ replica: 3, answer: new Response(body) });
    const stub = { ask } as unknown as ReplicaStub;
    const answer = askFrame(stub, frame('GET', '/v1/kv/a'), facts, { holder, signal: abort.signal, counted });
    setTimeout(() => abort.abort(), 5);
    await expect(answer).rejects.toThrow();
    expect(left).toBe(true);
  });
});
