import { describe, expect, it } from 'vitest';
import { BinaryReader, BinaryWriter } from '../../src/base/binary.ts';
import { utf8 } from '../../src/base/bytes.ts';
import {
  lockNameBytesMax,
  lockWaitSecondsMax,
  semaphoreLimitMax,
  sessionReconnectMs,
  sessionSilentMs,
  sessionWaitOverheadBytes,
  sessionWaitsMax,
  sessionWaitsToldMax,
  sessionWatchPingMs,
  writeBytesMax,
} from '../../src/limits.ts';
import { leaseId, noLease } from '../../src/model/brands.ts';
import { checkWait } from '../../src/model/wait-check.ts';
import type { SessionWait, WaitAnswer } from '../../src/model/waits.ts';
import { decodeClientMessage, encodeMessage } from '../../src/session/frames.ts';
import { decodeWaitAnswer, encodeWaitAnswer, readWait, writeWait } from '../../src/session/wait-codec.ts';
import { Random } from '../support/random.ts';
import { header, SessionPair } from './session-pair.ts';

const lock: SessionWait = { kind: 'lock', name: utf8('build'), lease: leaseId(7n) };
const locked: WaitAnswer = {
  kind: 'answered',
  header,
  outcome: { kind: 'locked', locked: { key: utf8('build/7'), revision: 12 } },
};
const acquire: SessionWait = {
  kind: 'acquire',
  name: utf8('build'),
  limit: 2,
  hold: { kind: 'session', ttlSeconds: 20 },
  waitMs: 30_000,
};

function named(bytes: number): Uint8Array {
  return new Uint8Array(bytes).fill(97);
}

class Waiting {
  readonly pair = new SessionPair();
  readonly handle = this.pair.client.declare({ kind: 'alone', text: 'good' });
  readonly heard: (readonly [id: number, what: WaitAnswer | 'interrupted'])[] = [];

  wait(id: number, wait: SessionWait = lock, { handle = this.handle, mayBeAlone = true } = {}): { leave: () => void } {
    const options = { id, handle, suspectedLeader: 0, mayBeAlone };
    return this.pair.client.wait(wait, options, {
      settled: (answer) => void this.heard.push([id, answer]),
      interrupted: () => void this.heard.push([id, 'interrupted']),
    });
  }

  failureOf(id: number): string | null {
    const said = this.heard.find(([of]) => of === id)?.[1];
    if (said === undefined || said === 'interrupted' || said.kind !== 'answered') return null;
    return said.outcome.kind === 'failed' ? said.outcome.failure.kind : null;
  }
}

describe('waits of a session', () => {
  it('SESSION-WAIT-1: are answered once each, whenever their turn comes, and named as calls are', () => {
    const waiting = new Waiting();
    const { pair, heard } = waiting;
    waiting.wait(1);
    waiting.wait(2, { ...lock, lease: noLease }, { mayBeAlone: false });
    pair.run(3_600_000);
    expect(heard).toEqual([]);
    const [first, second] = pair.waits;
    expect(pair.waits.map(({ wait }) => wait)).toEqual([lock, { ...lock, lease: noLease }]);
    expect([first?.facts.writeId, second?.facts.writeId]).toEqual([
      's.30313233343536373839616263646566.1',
      's.30313233343536373839616263646566.2',
    ]);
    expect([first?.facts.mayBeAlone, second?.facts.mayBeAlone]).toEqual([true, false]);
    second?.settle(locked);
    pair.run(100);
    first?.settle({ kind: 'notLeader', leader: 2, members: [{ number: 2, location: 'weur' }] });
    pair.run(100);
    expect(heard).toEqual([
      [2, locked],
      [1, { kind: 'notLeader', leader: 2, members: [{ number: 2, location: 'weur' }] }],
    ]);
    // One place is remembered, in case that its client had left.
    const unread = pair.toClient.reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(pair.held - unread).toBeLessThan(sessionWaitOverheadBytes + 6);
  });

  it('SESSION-WAIT-2: are left at once, and end with their handle while others go on', () => {
    const waiting = new Waiting();
    const { pair, heard } = waiting;
    const other = pair.client.declare({ kind: 'alone', text: 'good other' });
    const left = waiting.wait(1);
    waiting.wait(2);
    waiting.wait(3, lock, { handle: other });
    pair.run(100);
    left.leave();
    pair.run(100);
    expect(pair.waits.map(({ ended }) => ended)).toEqual(['left', null, null]);
    pair.server?.endHandle(waiting.handle, { kind: 'accessKeyRevoked' });
    pair.run(100);
    expect(pair.waits.map(({ ended }) => ended)).toEqual(['left', 'left', null]);
    expect([waiting.failureOf(1), waiting.failureOf(2)]).toEqual([null, 'accessKeyRevoked']);
    waiting.wait(4);
    pair.client.release(other);
    pair.run(100);
    expect(waiting.failureOf(4)).toBe('accessKeyRevoked');
    expect(pair.waits.map(({ ended }) => ended)).toEqual(['left', 'left', 'left']);
    expect(heard).toHaveLength(2);
  });

  it('SESSION-WAIT-7: a client that leaves before it hears its answer gives the place up, of the last sessionWaitsToldMax', () => {
    const waiting = new Waiting();
    const { pair, heard } = waiting;
    const left = waiting.wait(1);
    pair.run(100);
    pair.waits[0]?.settle(locked);
    pair.run(1);
    left.leave();
    pair.run(100);
    expect([pair.waits[0]?.ended, heard]).toEqual(['left', []]);

    const others = Array.from({ length: sessionWaitsToldMax + 1 }, (_, index) => waiting.wait(2 + index));
    pair.run(100);
    for (const { settle } of pair.waits.slice(1)) settle(locked);
    pair.run(1);
    for (const { leave } of others) leave();
    pair.run(100);
    expect(pair.waits.filter(({ ended }) => ended === 'left')).toHaveLength(1 + sessionWaitsToldMax);
    expect(pair.waits[1]?.ended).toBeNull();
    expect(heard).toEqual([]);
  });

  it('SESSION-WAIT-7: a client that leaves once its turn has come gives the place up, once', () => {
    const waiting = new Waiting();
    const { pair, heard } = waiting;
    const [granted, refused] = [waiting.wait(1), waiting.wait(2)];
    pair.run(100);
    pair.waits[0]?.settle(locked);
    pair.waits[1]?.settle({ kind: 'notLeader', leader: 2, members: [] });
    pair.run(100);
    expect(heard).toHaveLength(2);
    expect(pair.waits.map(({ ended }) => ended)).toEqual([null, null]);
    granted.leave();
    refused.leave();
    pair.run(100);
    expect(pair.waits.map(({ ended }) => ended)).toEqual(['left', null]);
    const { length } = pair.toServer;
    granted.leave();
    pair.run(100);
    expect(pair.toServer).toHaveLength(length);
  });

  it('SESSION-WAIT-3: are declared anew after a break and after a wake, with the time that is left', () => {
    const waiting = new Waiting();
    const { pair, heard } = waiting;
    waiting.wait(1);
    waiting.wait(2, acquire);
    pair.run(10_000);
    pair.cut();
    expect(pair.waits.map(({ ended }) => ended)).toEqual(['detached', 'detached']);
    expect(heard).toEqual([
      [1, 'interrupted'],
      [2, 'interrupted'],
    ]);
    pair.run(sessionReconnectMs + 100);
    expect(pair.connections).toBe(2);
    expect(pair.waits.slice(2).map(({ facts }) => facts.writeId)).toEqual(
      pair.waits.slice(0, 2).map(({ facts }) => facts.writeId),
    );
    expect(pair.waits.slice(2).map(({ facts }) => facts.mayBeAlone)).toEqual([false, false]);
    const again = pair.waits[3]?.wait;
    expect(again?.kind === 'acquire' && again.waitMs).toBeGreaterThan(19_000);
    expect(again?.kind === 'acquire' && again.waitMs).toBeLessThan(20_001);
    pair.sleep();
    pair.run(100);
    expect(pair.waits).toHaveLength(6);
    pair.waits[4]?.settle(locked);
    pair.run(100);
    expect(heard.slice(2)).toEqual([[1, locked]]);
    pair.sleep();
    pair.run(100);
    expect(pair.waits.slice(6).map(({ wait }) => wait.kind)).toEqual(['acquire']);
  });

  it('SESSION-WAIT-4: have the bounds of HTTP, are at most sessionWaitsMax, and count in memory', () => {
    const waiting = new Waiting();
    const { pair } = waiting;
    for (let id = 1; id <= sessionWaitsMax + 1; id++) waiting.wait(id);
    pair.run(1_000);
    expect(pair.waits).toHaveLength(sessionWaitsMax);
    expect(waiting.failureOf(sessionWaitsMax + 1)).toBe('tooManyOpen');
    expect(pair.held).toBeGreaterThanOrEqual(sessionWaitsMax * (sessionWaitOverheadBytes + 5));

    const small = new Waiting();
    small.pair.heldMax = 3_000;
    for (let id = 1; id <= 4; id++) small.wait(id);
    small.pair.run(1_000);
    expect(small.pair.waits).toHaveLength(2);
    expect(small.failureOf(4)).toBe('memoryFull');

    expect(checkWait({ ...lock, name: named(lockNameBytesMax) })).toBeNull();
    expect(checkWait({ ...lock, name: named(lockNameBytesMax + 1) })?.kind).toBe('requestTooLarge');
    const campaign = { kind: 'campaign', name: utf8('e'), lease: noLease } as const;
    expect(checkWait({ ...campaign, value: named(writeBytesMax - 1) })).toBeNull();
    expect(checkWait({ ...campaign, value: named(writeBytesMax) })?.kind).toBe('requestTooLarge');
    expect(checkWait({ ...acquire, name: named(0) })?.kind).toBe('badRequest');
    expect(checkWait({ ...acquire, limit: semaphoreLimitMax })).toBeNull();
    for (const wrong of [
      { ...acquire, limit: 0 },
      { ...acquire, limit: semaphoreLimitMax + 1 },
      { ...acquire, waitMs: lockWaitSecondsMax * 1_000 + 1 },
      { ...acquire, hold: { kind: 'lease', id: noLease } as const },
      { ...acquire, hold: { kind: 'session', ttlSeconds: 0 } as const },
    ]) {
      expect(checkWait(wrong)?.kind).toBe('badRequest');
    }
    waiting.pair.cut();
    expect(waiting.pair.waits.every(({ ended }) => ended === 'detached')).toBe(true);
  });

  it('SESSION-WAIT-5: ask soon whether the replica is there once they were declared, and then let it sleep', () => {
    const waiting = new Waiting();
    const { pair } = waiting;
    waiting.wait(1);
    pair.run(100);
    const declared = pair.toServer.length;
    pair.run(2 * sessionSilentMs);
    expect(pair.toServer.length - declared).toBe(1);
    expect(pair.connections).toBe(1);
    pair.run(sessionWatchPingMs - 3 * sessionSilentMs);
    expect(pair.toServer.length - declared).toBe(1);

    pair.silent = true;
    waiting.wait(2);
    pair.run(3 * sessionSilentMs + 1_000);
    expect(pair.connections).toBeGreaterThan(1);
  });

  it('SESSION-WAIT-6: come out of a frame as they went in, and a kind that is not known is refused as such', () => {
    const campaign = { kind: 'campaign', name: utf8('e'), lease: leaseId(-3n), value: utf8('me') } as const;
    const lease: SessionWait = { ...acquire, hold: { kind: 'lease', id: leaseId(9n) } };
    const forms = [lock, campaign, acquire, lease].map((wait) => {
      const writer = new BinaryWriter(8);
      writeWait(writer, wait);
      const bytes = writer.finish();
      expect(readWait(new BinaryReader(bytes))).toEqual(wait);
      return Buffer.from(bytes).toString('hex');
    });
    const place = { key: utf8('e/7'), lease: leaseId(7n), revision: 9 };
    const answers: readonly WaitAnswer[] = [
      locked,
      { kind: 'answered', header, outcome: { kind: 'elected', elected: { ...place, createRevision: 8 } } },
      {
        kind: 'answered',
        header,
        outcome: { kind: 'acquired', acquired: { ...place, ttlSeconds: 60, fencingToken: 8 } },
      },
      { kind: 'answered', header, outcome: { kind: 'failed', by: 'service', failure: { kind: 'sessionExpired' } } },
      { kind: 'notLeader', leader: 3, members: [] },
    ];
    for (const answer of answers) {
      const bytes = encodeWaitAnswer(answer);
      expect(decodeWaitAnswer(bytes)).toEqual(answer);
      forms.push(Buffer.from(bytes).toString('hex'));
      for (let cut = 0; cut < bytes.length; cut++) expect(decodeWaitAnswer(bytes.subarray(0, cut))).toBeNull();
    }
    expect(forms).toMatchSnapshot();

    const random = new Random(7);
    for (let index = 0; index < 2_000; index++) {
      const bytes = Uint8Array.from({ length: random.below(40) }, () => random.below(256));
      decodeWaitAnswer(bytes);
      decodeClientMessage(encodeMessage([Uint8Array.of(11, ...bytes)]));
    }

    const waiting = new Waiting();
    waiting.wait(1);
    waiting.pair.run(100);
    waiting.pair.server?.message(encodeMessage([Uint8Array.of(11, 9, waiting.handle, 0, 0, 99)]));
    waiting.pair.run(100);
    expect(waiting.pair.waits).toHaveLength(1);
    expect(waiting.pair.connections).toBe(1);
  });
});
