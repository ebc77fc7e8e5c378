import { describe, expect, it } from 'vitest';
import { readOf } from '../../src/api/requests.ts';
import { assert } from '../../src/base/assert.ts';
import { emptyBytes, utf8 } from '../../src/base/bytes.ts';
import {
  answerPieceBytes,
  answerReadMs,
  sessionCallBytesMax,
  sessionCallsMax,
  sessionCountedWrites,
  sessionCreditBytes,
  sessionCreditBytesMax,
  sessionFramesMax,
  sessionHandlesMax,
  sessionMessageBytes,
  sessionMessageBytesMax,
  sessionReconnectMs,
  sessionSilentMs,
  valueBytesMax,
} from '../../src/limits.ts';
import { noLease, revision } from '../../src/model/brands.ts';
import type { CallAnswer, StoreCall } from '../../src/model/calls.ts';
import { encodeCall } from '../../src/session/call-codec.ts';
import { type ClientFrame, decodeServerMessage, encodeClientFrame, encodeMessage } from '../../src/session/frames.ts';
import { Random } from '../support/random.ts';
import { header, latencyMs, SessionPair } from './session-pair.ts';

const good = { kind: 'alone', text: 'good' } as const;
const roundTripMs = 2 * latencyMs + 1;

function read(key: string): StoreCall {
  return { kind: 'read', request: readOf({ key: utf8(key), rangeEnd: emptyBytes }) };
}

function answerOf(value: string | number): CallAnswer {
  const bytes = typeof value === 'string' ? utf8(value) : new Uint8Array(value);
  const at = revision(2);
  const kv = { key: utf8('k'), value: bytes, createRevision: at, modRevision: at, version: 1, lease: noLease };
  return { kind: 'answered', header, outcome: { kind: 'range', answer: { kvs: [kv], more: false, count: 1 } } };
}

/** A pair whose session is open. */
function open(): { readonly pair: SessionPair; readonly handle: number } {
  const pair = new SessionPair();
  const handle = pair.client.declare(good);
  const asked = pair.ask(read('first'), { id: 0, handle });
  pair.run(100);
  pair.begun.shift()?.answer(answerOf('first'));
  pair.run(100);
  expect(asked.answer).toEqual(answerOf('first'));
  pair.toServer.length = 0;
  pair.toClient.length = 0;
  return { pair, handle };
}

function framesTo(pair: SessionPair): (string | undefined)[] {
  return pair.toClient.flatMap((message) => decodeServerMessage(message)?.map(({ kind }) => kind) ?? [undefined]);
}

/** What a client that this project did not write may say. */
function say(pair: SessionPair, ...frames: readonly ClientFrame[]): void {
  pair.server?.message(encodeMessage(frames.map(encodeClientFrame)));
  pair.run(roundTripMs);
}

function callFrame(id: number, handle: number, call: StoreCall = read('a')): ClientFrame {
  return {
    kind: 'call',
    id,
    handle,
    deadlineMs: 100,
    failedLeader: 0,
    suspectedLeader: 0,
    mayBeAlone: false,
    call: encodeCall(call),
  };
}

function declareFrame(handle: number): ClientFrame {
  return { kind: 'declare', handle, credentials: good };
}

/** How often a session was closed that got this message. */
function timesClosed(message: Uint8Array): number {
  const { pair } = open();
  pair.server?.message(message);
  pair.run(roundTripMs);
  return pair.closedWith.length;
}

/** One frame of an unknown kind. */
function longMessage(bytes: number): Uint8Array {
  return encodeMessage([new Uint8Array(bytes - 4).fill(99)]);
}

function helloFrame(credit: number): ClientFrame {
  return { kind: 'hello', processId: utf8('0123456789abcdef'), credit };
}

describe('SESSION-1: calls that are made in one turn share a message, and so do answers; a lone call goes out at once', () => {
  it('together', () => {
    const { pair, handle } = open();
    const asked = [1, 2, 3].map((id) => pair.ask(read(`k${id}`), { id, handle }));
    pair.run(roundTripMs);
    expect(pair.toServer.length).toBe(1);
    expect(pair.turns).toBe(2);
    for (const { answer, facts } of pair.begun) answer(answerOf(facts.writeId));
    pair.run(roundTripMs);
    expect(pair.toClient.length).toBe(1);
    expect(asked.map(({ answer }) => answer?.kind)).toEqual(['answered', 'answered', 'answered']);
  });

  it('alone', () => {
    const { pair, handle } = open();
    pair.ask(read('a'), { id: 1, handle });
    pair.run(latencyMs);
    expect(pair.begun.length).toBe(1);
  });
});

describe('SESSION-2: answers come in any order, each to its call, and none to a call that was cancelled', () => {
  it('in the other order', () => {
    const { pair, handle } = open();
    const asked = [1, 2, 3].map((id) => pair.ask(read(`k${id}`), { id, handle }));
    pair.run(roundTripMs);
    for (const { answer, call } of pair.begun.toReversed()) {
      assert(call.kind === 'read', 'it was a read');
      answer(answerOf(String.fromCodePoint(...call.request.key)));
      pair.run(3);
    }
    pair.run(roundTripMs);
    expect(asked.map(({ answer }) => answer)).toEqual(['k1', 'k2', 'k3'].map(answerOf));
  });

  it('cancelled', () => {
    const { pair, handle } = open();
    let answers = 0;
    const options = { ...callOptions, id: 1, handle, deadlineMs: 5_000 };
    const cancel = pair.client.call(encodeCall(read('a')), options, () => answers++);
    pair.run(latencyMs);
    cancel();
    pair.run(roundTripMs);
    expect(pair.begun[0]?.cancelled).toBe(true);
    pair.begun[0]?.answer(answerOf('late'));
    pair.run(roundTripMs);
    expect(answers).toBe(0);
  });
});

describe('SESSION-3: where the connection breaks, calls are lost, and a new one declares what its client holds', () => {
  it('is lost, and opened anew by the next call after a while', () => {
    const { pair, handle } = open();
    const lost = pair.ask(read('a'), { id: 1, handle });
    pair.run(roundTripMs);
    pair.cut();
    expect(lost.answer).toEqual({ kind: 'lost' });
    expect(pair.ask(read('a'), { id: 2, handle }).answer).toEqual({ kind: 'lost' });
    pair.run(sessionReconnectMs);
    const again = pair.ask(read('a'), { id: 1, handle });
    pair.run(roundTripMs);
    expect(pair.connections).toBe(2);
    expect(pair.begun.at(-1)?.facts).toMatchObject({ caller: { id: 'good' }, writeId: pair.begun[0]?.facts.writeId });
    pair.begun.at(-1)?.answer(answerOf('again'));
    pair.run(roundTripMs);
    expect(again.answer).toEqual(answerOf('again'));
  });

  it('waits longer each time, and not all clients equally long', () => {
    const waits = [0, 1].map((random) => {
      const pair = new SessionPair();
      Object.assign(pair, { refuses: true, random });
      const handle = pair.client.declare(good);
      const opened: number[] = [];
      for (let id = 1; pair.nowMs < 3_000; id++) {
        const before = pair.connections;
        pair.ask(read('a'), { id, handle });
        if (pair.connections > before) opened.push(pair.nowMs);
        pair.run(10);
      }
      const gaps = opened.slice(1).map((atMs, place) => atMs - (opened[place] ?? 0));
      expect(gaps).toEqual(gaps.toSorted((left, right) => left - right));
      return gaps[3] ?? 0;
    });
    expect(waits[0]).toBeLessThan(waits[1] ?? 0);
  });
});

describe('SESSION-4: an object that woke says so, and its client declares what it holds, unanswered calls too', () => {
  it('welcomes', () => {
    const { pair, handle } = open();
    const asked = pair.ask(read('a'), { id: 1, handle });
    pair.run(latencyMs);
    pair.sleep();
    const next = pair.ask(read('b'), { id: 2, handle });
    pair.run(3 * roundTripMs);
    expect(framesTo(pair)).toEqual(['welcome']);
    expect(pair.begun.map(({ facts }) => facts.writeId.split('.').at(-1))).toEqual(['1', '1', '2']);
    for (const { answer } of pair.begun.slice(1)) answer(answerOf('awake'));
    pair.run(roundTripMs);
    expect([asked.answer, next.answer]).toEqual([answerOf('awake'), answerOf('awake')]);
  });
});

describe('SESSION-5: each call is made with its handle, and what another one may is not its concern', () => {
  it('has the caller of its handle', () => {
    const { pair } = open();
    const handles = ['good 1', 'good 2'].map((text) => pair.client.declare({ kind: 'alone', text }));
    for (const [place, handle] of handles.entries()) pair.ask(read('a'), { id: place + 1, handle });
    pair.run(roundTripMs);
    expect(pair.begun.map(({ facts }) => facts.caller)).toEqual([
      { kind: 'accessKey', id: 'good 1' },
      { kind: 'accessKey', id: 'good 2' },
    ]);
  });

  it('is refused where its credentials are no good, are no good any more, or were never declared', () => {
    const { pair, handle } = open();
    const bad = pair.ask(read('a'), { id: 1, handle: pair.client.declare({ kind: 'alone', text: 'bad' }) });
    const unknown = pair.ask(read('a'), { id: 2, handle: 99 });
    pair.run(roundTripMs);
    pair.server?.endHandle(handle, { kind: 'unauthenticated', reason: 'revoked' });
    const revoked = pair.ask(read('a'), { id: 3, handle });
    pair.run(roundTripMs);
    expect(pair.begun).toEqual([]);
    expect(pair.ended).toEqual([
      [handle + 1, 'accessKeyInvalid'],
      [handle, 'unauthenticated'],
    ]);
    for (const [asked, kind] of [
      [bad, 'accessKeyInvalid'],
      [unknown, 'accessKeyMissing'],
      [revoked, 'unauthenticated'],
    ] as const) {
      expect(asked.answer).toMatchObject({ outcome: { kind: 'failed', by: 'service', failure: { kind } } });
    }
  });

  it('is one for the same credentials, until it was released as often', () => {
    const { pair, handle } = open();
    expect(pair.client.declare(good)).toBe(handle);
    pair.client.release(handle);
    pair.run(roundTripMs);
    expect(pair.declared).toEqual([handle]);
    pair.client.release(handle);
    pair.run(roundTripMs);
    expect(pair.declared).toEqual([]);
    expect(pair.client.declare(good)).not.toBe(handle);
  });
});

describe('SESSION-6: nothing is sent, and no call begun, beyond the credit that the client gave', () => {
  const large = 20 * answerPieceBytes;

  it('of a client that reads nothing', () => {
    const { pair } = open();
    say(pair, helloFrame(4 * answerPieceBytes));
    say(pair, callFrame(1, 1), callFrame(2, 1));
    pair.begun[0]?.answer(answerOf(large));
    pair.run(roundTripMs);
    // A quarter of the credit is left to small answers.
    const sent = pair.toClient.reduce((bytes, message) => bytes + message.byteLength, 0);
    expect(sent).toBeGreaterThan(3 * answerPieceBytes);
    expect(sent).toBeLessThan(4 * answerPieceBytes);
    expect(pair.held).toBeGreaterThan(large);

    // A small answer overtakes the large one.
    pair.begun[1]?.answer(answerOf('small'));
    pair.run(roundTripMs);
    expect(framesTo(pair).at(-1)).toBe('answer');

    say(pair, callFrame(4, 1));
    pair.begun[2]?.answer(answerOf(answerPieceBytes - 100));
    pair.run(roundTripMs);
    say(pair, callFrame(3, 1));
    expect(pair.begun.length).toBe(3);

    for (let credits = 0; credits < 20; credits++) say(pair, { kind: 'credit', bytes: 4 * answerPieceBytes });
    expect(framesTo(pair).filter((kind) => kind === 'answer').length).toBe(3);
    expect(pair.begun.length).toBe(4);
    pair.begun[3]?.answer(answerOf('last'));
    pair.run(roundTripMs);
    say(pair, { kind: 'credit', bytes: 4 * answerPieceBytes });
    expect(pair.held).toBe(0);
  });

  it('and a client of this project gives it back as it reads', () => {
    const { pair, handle } = open();
    for (let id = 1; id <= 12; id++) {
      const asked = pair.ask(read('a'), { id, handle });
      pair.run(roundTripMs);
      pair.begun.at(-1)?.answer(answerOf(sessionCreditBytes / 3));
      pair.run(10 * roundTripMs);
      expect(asked.answer?.kind).toBe('answered');
    }
    expect(pair.held).toBeLessThan(sessionCreditBytes);
  });

  it('nor are answers that are not large, however many calls had begun', () => {
    const { pair } = open();
    say(pair, helloFrame(answerPieceBytes));
    say(pair, ...Array.from({ length: 100 }, (_, place) => callFrame(place + 1, 1)));
    for (const { answer } of pair.begun) answer(answerOf(answerPieceBytes / 2));
    pair.run(roundTripMs);
    const sent = pair.toClient.reduce((bytes, message) => bytes + message.byteLength, 0);
    expect(sent).toBeLessThan(3 * answerPieceBytes);
    expect(pair.held).toBeGreaterThan(45 * answerPieceBytes);
    for (let credits = 0; credits < 100; credits++) say(pair, { kind: 'credit', bytes: answerPieceBytes });
    expect(framesTo(pair).length).toBe(100);
  });

  it('an answer for which there is no memory is refused', () => {
    const { pair, handle } = open();
    pair.heldMax = large / 2;
    const asked = pair.ask(read('a'), { id: 1, handle });
    pair.run(roundTripMs);
    pair.begun[0]?.answer(answerOf(large));
    pair.run(roundTripMs);
    expect(asked.answer).toMatchObject({ outcome: { by: 'service', failure: { kind: 'memoryFull', of: 'key' } } });
  });
});

describe('MEMORY-8: the answer to a write that was done is sent, also if there is no memory for it', () => {
  it('and its session goes on', () => {
    const { pair, handle } = open();
    pair.heldMax = 2 * answerPieceBytes;
    const request = { key: utf8('a'), value: utf8('v'), lease: noLease };
    const flags = { previous: true, ignoreValue: false, ignoreLease: false };
    const put = { kind: 'put', request: { ...request, ...flags } } as const;
    const asked = pair.ask({ kind: 'write', writeId: null, operation: put }, { id: 1, handle });
    pair.run(roundTripMs);
    const at = revision(2);
    const value = new Uint8Array(valueBytesMax);
    const previous = { key: utf8('a'), value, createRevision: at, modRevision: at, version: 1, lease: noLease };
    const outcome = { kind: 'written', outcome: { kind: 'put', revision: revision(7), answer: { previous } } } as const;
    pair.begun[0]?.answer({ kind: 'answered', header, outcome });
    pair.run(roundTripMs);
    const other = pair.ask(read('b'), { id: 2, handle });
    pair.run(roundTripMs);
    pair.begun[1]?.answer(answerOf('b'));
    pair.run(5 * roundTripMs);
    expect(asked.answer).toMatchObject({ kind: 'answered', outcome: { kind: 'written' } });
    expect([other.answer?.kind, pair.closedWith]).toEqual(['answered', []]);
  });
});

describe('SESSION-14: a read runs only while its session has room for an answer', () => {
  const large = 20 * answerPieceBytes;
  const size = sessionCreditBytes / 2 + 1;

  it('the answers that were read and are not sent yet take the credit', () => {
    const { pair } = open();
    say(pair, helloFrame(4 * answerPieceBytes), callFrame(1, 1), callFrame(2, 1));
    const [first, second] = pair.begun.map(({ facts }) => facts.room);
    assert(first !== undefined && second !== undefined, 'both have begun');
    expect([second.isOpen(null), first.take(large), second.isOpen(null)]).toEqual([true, true, false]);
    expect(pair.held).toBeGreaterThanOrEqual(large);
    const made = pair.roomMade;
    pair.begun[0]?.answer(answerOf(large));
    pair.run(roundTripMs);
    expect(pair.roomMade).toBeGreaterThan(made);
    // A quarter of the credit is left, for small answers alone.
    const more = sessionCreditBytes;
    expect([second.isOpen(null), second.isOpen(more), second.take(more), second.take(10)]).toEqual([
      true,
      false,
      false,
      true,
    ]);
  });

  it('so many large ones wait as a client of this project may be sent, and one at least', () => {
    const { pair } = open();
    say(pair, helloFrame(sessionCreditBytesMax), callFrame(1, 1), callFrame(2, 1), callFrame(3, 1));
    const [first, second, third] = pair.begun.map(({ facts }) => facts.room);
    expect(first?.take(sessionCreditBytes)).toBe(true);
    expect(second?.take(answerPieceBytes + 1)).toBe(false);
    pair.begun[0]?.answer({ kind: 'absent' });
    expect([second?.take(size - 1), third?.take(size)]).toEqual([true, false]);
    pair.begun[1]?.answer({ kind: 'absent' });
    expect(third?.take(2 * sessionCreditBytes)).toBe(true);
  });

  it('nor where the memory is full, and what a cancelled read took is free', () => {
    const { pair } = open();
    say(pair, callFrame(1, 1), callFrame(2, 1));
    const [first, second] = pair.begun.map(({ facts }) => facts.room);
    pair.heldMax = large;
    expect([first?.take(large - 10_000), second?.isOpen(large), second?.take(large)]).toEqual([true, false, false]);
    say(pair, { kind: 'cancel', id: 1 });
    expect(second?.take(large - 10_000)).toBe(true);
  });
});

/** A session whose client has not read a large answer. */
function behind(): SessionPair {
  const { pair } = open();
  say(pair, helloFrame(answerPieceBytes), callFrame(1, 1));
  pair.begun[0]?.answer(answerOf(20 * answerPieceBytes));
  pair.run(roundTripMs);
  pair.server?.tick();
  expect(pair.server?.isBehind).toBe(true);
  return pair;
}

describe('SESSION-15: a session whose client takes nothing for answerReadMs ends', () => {
  it('and not before', () => {
    const pair = behind();
    pair.run(answerReadMs - 1);
    pair.server?.tick();
    expect(pair.closedWith).toEqual([]);
    pair.run(1);
    pair.server?.tick();
    expect(pair.closedWith).toEqual([{ kind: 'answersUnread', seconds: answerReadMs / 1_000 }]);
  });

  it('a client that takes a little goes on, and one for which nothing waits is not behind', () => {
    const pair = behind();
    for (let turn = 0; turn < 25; turn++) {
      pair.run(answerReadMs - 1);
      say(pair, { kind: 'credit', bytes: answerPieceBytes });
      pair.server?.tick();
    }
    expect(pair.closedWith).toEqual([]);
    expect(pair.server?.isBehind).toBe(false);
    pair.run(2 * answerReadMs);
    pair.server?.tick();
    expect(pair.closedWith).toEqual([]);
  });
});

describe('SESSION-7: a session has sessionCallsMax calls and sessionHandlesMax handles', () => {
  it('calls', () => {
    const { pair, handle } = open();
    for (let id = 1; id <= sessionCallsMax; id++) pair.ask(read('a'), { id, handle });
    pair.run(roundTripMs);
    expect(pair.begun.length).toBe(sessionCallsMax);
    const beyond = pair.ask(read('a'), { id: sessionCallsMax + 1, handle });
    pair.run(roundTripMs);
    expect(beyond.answer).toMatchObject({ outcome: { by: 'service', failure: { kind: 'overloaded' } } });
    expect(pair.toServer.every((message) => message.byteLength < 2 * sessionMessageBytes)).toBe(true);
  });

  it('handles', () => {
    const { pair } = open();
    const frames = Array.from({ length: sessionHandlesMax }, (_, place) => declareFrame(place + 1));
    say(pair, ...frames);
    expect(pair.closedWith).toEqual([]);
    say(pair, declareFrame(sessionHandlesMax + 1));
    expect(pair.closedWith.map(({ kind }) => kind)).toEqual(['badRequest']);
  });

  it('bytes of calls', () => {
    const { pair } = open();
    const value = new Uint8Array(sessionCallBytesMax / 16);
    const request = { key: utf8('k'), value, lease: noLease, previous: false, ignoreValue: false, ignoreLease: false };
    const put: StoreCall = { kind: 'write', writeId: null, operation: { kind: 'put', request } };
    for (let id = 1; id <= 16; id++) say(pair, callFrame(id, 1, put));
    expect(pair.begun.length).toBe(15);
    expect(framesTo(pair)).toEqual(['answer']);
    expect(pair.held).toBeGreaterThan(15 * value.byteLength);
    for (const { answer } of pair.begun) answer(answerOf('done'));
    pair.run(roundTripMs);
    say(pair, callFrame(17, 1, put));
    expect(pair.begun.length).toBe(16);
  });

  it('bytes and frames of a message', () => {
    const ping = encodeClientFrame({ kind: 'ping', number: 1 });
    expect(timesClosed(encodeMessage(Array.from({ length: sessionFramesMax }, () => ping)))).toBe(0);
    expect(timesClosed(encodeMessage(Array.from({ length: sessionFramesMax + 1 }, () => ping)))).toBe(1);
    expect(longMessage(sessionMessageBytesMax).byteLength).toBe(sessionMessageBytesMax);
    expect(timesClosed(longMessage(sessionMessageBytesMax))).toBe(0);
    expect(timesClosed(longMessage(sessionMessageBytesMax + 1))).toBe(1);
  });

  it('credit', () => {
    const { pair } = open();
    say(pair, helloFrame(sessionCreditBytesMax));
    expect(pair.closedWith).toEqual([]);
    say(pair, helloFrame(sessionCreditBytesMax + 1));
    expect(pair.closedWith.length).toBe(1);
  });
});

describe('SESSION-8: a call that is not answered in time is late, and one whose replica is silent is lost', () => {
  it('late', () => {
    const { pair, handle } = open();
    const asked = pair.ask(read('a'), { id: 1, handle, deadlineMs: 300 });
    pair.run(250);
    expect(asked.answer).toBeNull();
    pair.run(200);
    expect(asked.answer).toEqual({ kind: 'late' });
    expect(pair.begun[0]?.cancelled).toBe(true);
  });

  it('late at the replica, which answers so', () => {
    const { pair, handle } = open();
    say(pair, callFrame(1, handle));
    pair.run(50);
    pair.server?.tick();
    expect(pair.server?.callsUnderWay).toBe(1);
    pair.run(100);
    pair.server?.tick();
    pair.run(roundTripMs);
    expect(pair.begun[0]?.cancelled).toBe(true);
    expect(framesTo(pair)).toEqual(['answer']);
  });

  it('silent', () => {
    const { pair, handle } = open();
    const asked = pair.ask(read('a'), { id: 1, handle, deadlineMs: 60_000 });
    pair.run(2 * sessionSilentMs + 1_000);
    // It answers pings.
    expect(asked.answer).toBeNull();
    pair.silent = true;
    pair.run(2 * sessionSilentMs + 1_000);
    expect(asked.answer).toEqual({ kind: 'lost' });
  });

  it('silent while another replica answered: the next call has a new connection', () => {
    const { pair, handle } = open();
    pair.ask(read('a'), { id: 1, handle });
    pair.run(roundTripMs);
    pair.begun[0]?.answer(answerOf('a'));
    pair.run(roundTripMs);
    const cameMs = pair.nowMs;
    const asked = pair.ask(read('a'), { id: 2, handle });
    pair.run(300);
    pair.client.endIfSilent(cameMs - 2 * roundTripMs);
    expect([asked.answer, pair.connections]).toEqual([null, 1]);
    pair.client.endIfSilent(cameMs);
    expect(asked.answer).toEqual({ kind: 'lost' });
    pair.run(1_000);
    pair.ask(read('a'), { id: 3, handle });
    pair.run(3 * roundTripMs);
    expect(pair.connections).toBe(2);
    expect(pair.begun).toHaveLength(3);
  });
});

describe('SESSION-16: a connection that is dead ends, however short the calls on it are waited for', () => {
  const eachMs = sessionSilentMs / 2;

  /** One call after another, each waited for a while. */
  function callFor(pair: SessionPair, handle: number, forMs: number): void {
    const endMs = pair.nowMs + forMs;
    for (let id = 10; pair.nowMs < endMs; id++) {
      pair.ask(read('a'), { id, handle, deadlineMs: eachMs });
      pair.run(eachMs + 300);
    }
  }

  it('it does not open', () => {
    const pair = new SessionPair();
    pair.hangs = true;
    const handle = pair.client.declare(good);
    callFor(pair, handle, 2 * sessionSilentMs - eachMs);
    expect(pair.connections).toBe(1);
    pair.hangs = false;
    callFor(pair, handle, 2 * eachMs);
    expect(pair.connections).toBe(2);
    expect(pair.begun.length).toBeGreaterThan(0);
  });

  it('it does not open, and nobody waits', () => {
    const pair = new SessionPair();
    pair.hangs = true;
    pair.client.open();
    pair.run(2 * sessionSilentMs + 1_000);
    pair.hangs = false;
    pair.client.open();
    pair.run(roundTripMs);
    expect([pair.connections, pair.client.isOpen]).toEqual([2, true]);
  });

  it('it is silent, and each call is late', () => {
    const { pair, handle } = open();
    pair.silent = true;
    callFor(pair, handle, 2 * sessionSilentMs);
    pair.silent = false;
    callFor(pair, handle, eachMs);
    expect(pair.connections).toBe(2);
  });

  it('it is silent, and each call is cancelled', () => {
    const { pair, handle } = open();
    pair.silent = true;
    for (let id = 10; id < 20; id++) {
      const cancel = pair.client.call(encodeCall(read('a')), { ...callOptions, id, handle }, () => undefined);
      pair.run(sessionSilentMs / 10);
      cancel();
      pair.run(sessionSilentMs / 10);
    }
    pair.run(sessionSilentMs);
    expect(pair.client.isOpen).toBe(false);
  });

  it('it is there: a call that ends unanswered asks once, and the connection stays', () => {
    const { pair, handle } = open();
    for (let id = 10; id < 13; id++) {
      pair.client.call(encodeCall(read('a')), { ...callOptions, id, handle }, () => undefined)();
    }
    pair.run(60_000);
    expect(framesTo(pair)).toEqual(['pong']);
    const late = pair.ask(read('a'), { id: 20, handle, deadlineMs: eachMs });
    pair.run(60_000);
    expect([late.answer, pair.connections]).toEqual([{ kind: 'late' }, 1]);
  });

  it('what came since a call was made shows that the replica is there', () => {
    const { pair, handle } = open();
    pair.ask(read('a'), { id: 10, handle, deadlineMs: eachMs });
    pair.run(1);
    pair.ask(read('b'), { id: 11, handle });
    pair.run(roundTripMs);
    pair.begun[1]?.answer(answerOf('b'));
    pair.run(eachMs + 300);
    expect(framesTo(pair)).toEqual(['answer']);
  });
});

const callOptions = { deadlineMs: 60_000, failedLeader: 0, suspectedLeader: 0, mayBeAlone: false, seen: undefined };

describe('SESSION-9: whatever a client sends, its session goes on or ends, and says why', () => {
  it('random bytes', () => {
    const random = new Random(3);
    for (let round = 0; round < 2_000; round++) {
      const { pair, handle } = open();
      const range = { key: utf8('k'), rangeEnd: emptyBytes };
      const watch = { range, start: 0, noPut: false, noDelete: false, previous: false };
      const frames = [
        callFrame(1, handle),
        { kind: 'cancel', id: 1 },
        { kind: 'watch', id: 1, handle, watch },
        { kind: 'askProgress', id: 1 },
        { kind: 'unwatch', id: 2 },
        { kind: 'credit', bytes: 9 },
      ] as const;
      const message = encodeMessage(frames.map(encodeClientFrame));
      for (let changes = random.below(4); changes > 0; changes--) {
        message[random.below(message.byteLength)] = random.below(256);
      }
      pair.server?.message(random.below(3) === 0 ? random.bytes(random.below(60)) : message);
      pair.run(roundTripMs);
      expect(pair.server !== null || pair.closedWith.length === 1).toBe(true);
    }
  });

  it('a frame of a kind that is not known is passed over, and a call of such a kind is answered', () => {
    const { pair, handle } = open();
    pair.server?.message(encodeMessage([new Uint8Array([77, 1, 2, 3]), encodeClientFrame(callFrame(1, handle))]));
    pair.run(roundTripMs);
    expect(pair.begun.length).toBe(1);
    say(pair, {
      kind: 'call',
      id: 2,
      handle,
      deadlineMs: 100,
      failedLeader: 0,
      suspectedLeader: 0,
      mayBeAlone: false,
      call: new Uint8Array([250]),
    });
    expect(framesTo(pair)).toEqual(['answer']);
  });

  it('a replica that goes away says so', () => {
    const { pair, handle } = open();
    const asked = pair.ask(read('a'), { id: 1, handle });
    pair.run(latencyMs);
    pair.server?.goAway({ kind: 'leaderChanged' });
    pair.run(roundTripMs);
    expect(asked.answer).toEqual({ kind: 'lost' });
    expect(framesTo(pair)).toEqual(['goAway']);
  });
});

describe('SESSION-10: a call that is sent again to an object that woke is never refused without the log', () => {
  it('after it was sent, or in the turn of a welcome', () => {
    const { pair, handle } = open();
    pair.ask(read('a'), { id: 1, handle, mayBeAlone: true });
    pair.run(latencyMs);
    pair.sleep();
    pair.ask(read('b'), { id: 2, handle, mayBeAlone: true });
    pair.run(3 * roundTripMs);
    pair.ask(read('c'), { id: 3, handle, mayBeAlone: true });
    pair.run(roundTripMs);
    expect(pair.begun.map(({ facts }) => [facts.writeId.split('.').at(-1), facts.mayBeAlone])).toEqual([
      ['1', true],
      ['1', false],
      ['2', false],
      ['3', true],
    ]);
  });
});

describe('SESSION-11: a client that has not said hello is asked for it once', () => {
  it('however much it sends', () => {
    const { pair, handle } = open();
    pair.sleep();
    for (let count = 0; count < 100; count++) pair.server?.message(new Uint8Array(0));
    say(pair, callFrame(1, handle), callFrame(2, handle));
    expect(framesTo(pair)).toEqual(['welcome']);
    expect(pair.begun).toEqual([]);
    say(pair, callFrame(3, 1));
    expect(pair.begun.length).toBe(1);
  });
});

describe('SESSION-12: a session whose unread answers go beyond its share ends', () => {
  it('for short answers, too', () => {
    const { pair } = open();
    pair.heldMax = pair.held + 10_000;
    const pings = Array.from({ length: 1_000 }, (_, number): ClientFrame => ({ kind: 'ping', number }));
    for (let rounds = 0; rounds < 10; rounds++) if (pair.closedWith.length === 0) say(pair, ...pings);
    expect(pair.closedWith).toEqual([{ kind: 'memoryFull', of: 'key' }]);
  });
});

describe('SESSION-13: what a client says of a leader that failed is a suspicion', () => {
  it('and of one that it suspects, too', () => {
    const { pair, handle } = open();
    pair.ask(read('a'), { id: 1, handle, failedLeader: 3 });
    pair.ask(read('a'), { id: 2, handle, suspectedLeader: 2 });
    pair.ask(read('a'), { id: 3, handle });
    pair.run(roundTripMs);
    expect(pair.begun.map(({ facts }) => Object.entries(facts).filter(([name]) => name.endsWith('Leader')))).toEqual([
      [['suspectedLeader', 3]],
      [['suspectedLeader', 2]],
      [['suspectedLeader', 0]],
    ]);
  });
});

describe('SESSION-17: a client is told how many writes there were, and says with its writes what it had been told', () => {
  it('once so many more have come, with an answer', () => {
    const { pair, handle } = open();
    expect(pair.counted).toEqual([0]);
    for (const writes of [sessionCountedWrites - 1, sessionCountedWrites, 2 * sessionCountedWrites - 1]) {
      pair.writes = writes;
      pair.ask(read('a'), { id: writes, handle });
      pair.run(roundTripMs);
      pair.begun.pop()?.answer(answerOf('a'));
      pair.run(roundTripMs);
    }
    expect(pair.counted).toEqual([0, sessionCountedWrites]);
    expect(framesTo(pair)).toEqual(['answer', 'counted', 'answer', 'answer']);
    expect(pair.toClient.length).toBe(3);
  });

  it('in a frame for all calls after it, and anew where the replica has forgotten the session', () => {
    const { pair, handle } = open();
    const seen = [undefined, null, 5, 5, undefined, 6, 5];
    for (const [id, each] of seen.entries()) pair.ask(read('a'), { id: id + 1, handle, seen: each });
    pair.run(roundTripMs);
    // A call that is no write has what was said before it, which means nothing.
    expect(pair.begun.map(({ facts }) => facts.seen)).toEqual([undefined, null, 5, 5, 5, 6, 5]);
    pair.sleep();
    pair.run(2 * roundTripMs);
    expect(pair.begun.slice(seen.length).map(({ facts }) => facts.seen)).toEqual([undefined, null, 5, 5, 5, 6, 5]);
  });

  it('and a client that does not say it does not count', () => {
    const { pair, handle } = open();
    say(pair, callFrame(1, handle), { kind: 'seen', writes: 3 }, callFrame(2, handle), { kind: 'seen', writes: null });
    say(pair, callFrame(3, handle), helloFrame(sessionCreditBytes), callFrame(4, handle));
    expect(pair.begun.map(({ facts }) => facts.seen)).toEqual([undefined, 3, null, undefined]);
  });
});

describe('SESSION-18: that the outcome of a call is unknown speaks of one sending', () => {
  const unknown: CallAnswer = {
    kind: 'answered',
    header,
    outcome: { kind: 'failed', by: 'store', failure: { kind: 'outcomeUnknown', writes: 9 } },
  };

  it('a call that was sent twice is lost instead', () => {
    const { pair, handle } = open();
    const once = pair.ask(read('a'), { id: 1, handle, seen: 0 });
    pair.run(roundTripMs);
    pair.begun.pop()?.answer(unknown);
    pair.run(roundTripMs);
    expect(once.answer).toEqual(unknown);
    const twice = pair.ask(read('b'), { id: 2, handle, seen: 0 });
    pair.run(roundTripMs);
    pair.sleep();
    pair.run(2 * roundTripMs);
    pair.begun.pop()?.answer(unknown);
    pair.run(roundTripMs);
    expect(twice.answer).toEqual({ kind: 'lost' });
  });
});
