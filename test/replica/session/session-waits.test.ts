import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/base/bytes.ts';
import {
  lockWaitersMax,
  openKeyShare,
  sessionWaitAwakeMs,
  sessionWaitGraceMs,
  sessionWaitOverheadBytes,
} from '../../../src/limits.ts';
import { leaseId } from '../../../src/model/brands.ts';
import type { SessionWait, WaitAnswer } from '../../../src/model/waits.ts';
import type { WaitEnd } from '../../../src/replica/lock/lock-session.ts';
import { ReplicaWaits } from '../../../src/replica/session/session-waits.ts';
import type { ServedWait } from '../../../src/session/wait-server.ts';

const header = { clusterId: '11', memberId: '12', raftTerm: 3, revision: 9 };
const lock: SessionWait = { kind: 'lock', name: utf8('build'), lease: leaseId(7n) };
const acquire: SessionWait = {
  kind: 'acquire',
  name: utf8('build'),
  limit: 1,
  hold: { kind: 'session', ttlSeconds: 20 },
  waitMs: 60_000,
};
const outcome = { kind: 'locked', locked: { key: utf8('build/7'), revision: 12 } } as const;
const locked: WaitAnswer = { kind: 'answered', header, outcome };
const elsewhere: WaitAnswer = { kind: 'notLeader', leader: 2, members: [] };

type Served = { readonly gone: AbortSignal; readonly end: (end: WaitEnd) => Promise<void> };

class Replica {
  nowMs = 0;
  /** What waits hold in memory whose clients are away. */
  held = 0;
  heldMax = Number.POSITIVE_INFINITY;
  readonly served: Served[] = [];
  readonly heard: [string, WaitAnswer][] = [];
  #timers: { readonly atMs: number; readonly task: () => void }[] = [];
  readonly waits = new ReplicaWaits({
    serve: (_, { gone }) =>
      new Promise((resolve) => {
        const end = async (ended: WaitEnd): Promise<void> => {
          resolve(ended);
          await Promise.resolve();
          await Promise.resolve();
        };
        this.served.push({ gone, end });
      }),
    memory: () => {
      let own = 0;
      return {
        hold: (bytes) => {
          if (this.held + bytes > this.heldMax) return 'tenant';
          own = bytes;
          this.held += bytes;
          return null;
        },
        release: () => {
          this.held -= own;
          own = 0;
        },
      };
    },
    later: (task, delayMs) => {
      const timer = { atMs: this.nowMs + delayMs, task };
      this.#timers.push(timer);
      return () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      };
    },
    header: () => header,
    broken: (error) => {
      throw error;
    },
  });

  get timers(): number {
    return this.#timers.length;
  }

  begin(who: string, { key = 'a', wait = lock, id = 1 } = {}): ServedWait {
    const facts = { writeId: `s.00.${id}`, suspectedLeader: 0, mayBeAlone: true, session: who };
    return this.waits.begin(wait, { caller: { kind: 'accessKey', id: key }, ...facts }, (answer) => {
      this.heard.push([who, answer]);
    });
  }

  pass(ms: number): void {
    this.nowMs += ms;
    for (const { atMs, task } of this.#timers.filter((timer) => timer.atMs <= this.nowMs)) {
      this.#timers = this.#timers.filter((timer) => timer.task !== task);
      expect(atMs).toBeLessThanOrEqual(this.nowMs);
      task();
    }
  }
}

describe('the waits of sessions at a replica', () => {
  it('SESSION-SOCKET-16: a wait is found by its client within the grace, and is told once', async () => {
    const replica = new Replica();
    replica.begin('first').detach();
    replica.pass(sessionWaitGraceMs - 1);
    replica.begin('second');
    replica.pass(2 * sessionWaitGraceMs);
    expect(replica.served).toHaveLength(1);
    await replica.served[0]?.end({ answer: locked, giveUp: null });
    expect(replica.heard).toEqual([['second', locked]]);
    expect([replica.waits.count, replica.timers]).toEqual([0, 0]);
  });

  it('SESSION-SOCKET-16: a client that does not come back leaves its place, also one that it got meanwhile', async () => {
    const replica = new Replica();
    let given = 0;
    const giveUp = async (): Promise<void> => void given++;
    replica.begin('first').detach();
    replica.begin('other', { id: 2 }).detach();
    await replica.served[1]?.end({ answer: locked, giveUp });
    replica.pass(sessionWaitGraceMs - 1);
    expect([replica.served[0]?.gone.aborted, given]).toEqual([false, 0]);
    replica.pass(1);
    expect([replica.served[0]?.gone.aborted, given]).toEqual([true, 1]);
    // The turn came in the very moment in which the place was left.
    await replica.served[0]?.end({ answer: locked, giveUp });
    expect([given, replica.waits.count]).toEqual([2, 0]);
    expect(replica.heard).toEqual([]);
  });

  it('SESSION-SOCKET-16: what came of a wait meanwhile is told to its client when it comes back, and to no other caller', async () => {
    const replica = new Replica();
    replica.begin('first').detach();
    await replica.served[0]?.end({ answer: locked, giveUp: null });
    replica.begin('stranger', { key: 'b' });
    expect(replica.served).toHaveLength(2);
    replica.begin('second');
    expect(replica.heard).toEqual([['second', locked]]);
    expect(replica.served).toHaveLength(2);

    const moved = new Replica();
    moved.begin('first').detach();
    await moved.served[0]?.end({ answer: elsewhere, giveUp: null });
    expect([moved.waits.count, moved.timers]).toEqual([0, 0]);
  });

  it('SESSION-SOCKET-16: of two connections of one client the later has the wait', async () => {
    const replica = new Replica();
    const first = replica.begin('first');
    replica.begin('second');
    first.leave();
    first.detach();
    expect(replica.served[0]?.gone.aborted).toBe(false);
    await replica.served[0]?.end({ answer: locked, giveUp: null });
    expect(replica.heard).toEqual([['second', locked]]);
  });

  it('SESSION-SOCKET-16: a client that had left before it was told gives the place up, once', async () => {
    const replica = new Replica();
    let given = 0;
    const wait = replica.begin('first');
    await replica.served[0]?.end({ answer: locked, giveUp: async () => void given++ });
    expect(replica.heard).toHaveLength(1);
    wait.detach();
    expect(given).toBe(0);
    wait.leave();
    wait.leave();
    expect([given, replica.waits.count, replica.timers]).toEqual([1, 0, 0]);
  });

  it('SESSION-SOCKET-17: a replica has lockWaitersMax waits, with those whose clients are away, half of one key', () => {
    const replica = new Replica();
    const ofKey = lockWaitersMax * openKeyShare;
    for (let id = 0; id < ofKey; id++) replica.begin('a', { id }).detach();
    expect(replica.heard).toEqual([]);
    replica.begin('a', { id: ofKey });
    expect(replica.heard[0]?.[1]).toMatchObject({
      outcome: { failure: { kind: 'tooManyOpen', of: 'key', max: ofKey } },
    });
    for (let id = 0; id < ofKey; id++) replica.begin('b', { key: 'b', id });
    replica.begin('c', { key: 'c' });
    expect(replica.heard[1]?.[1]).toMatchObject({ outcome: { failure: { kind: 'tooManyOpen', of: 'replica' } } });
    replica.pass(sessionWaitGraceMs);
    expect(replica.waits.count).toBe(ofKey);
    replica.begin('c', { key: 'c' });
    expect(replica.heard).toHaveLength(2);
  });

  it('SESSION-SOCKET-19: what a wait takes of memory counts while its client is away, and where there is none its place is left', () => {
    const replica = new Replica();
    const campaign: SessionWait = { kind: 'campaign', name: utf8('e'), lease: leaseId(7n), value: new Uint8Array(999) };
    replica.heldMax = 3 * (sessionWaitOverheadBytes + 1_000) - 1;
    for (let id = 0; id < 3; id++) replica.begin('first', { id, wait: campaign }).detach();
    expect(replica.held).toBe(2 * (sessionWaitOverheadBytes + 1_000));
    expect(replica.served.map(({ gone }) => gone.aborted)).toEqual([false, false, true]);
    replica.begin('second', { id: 0, wait: campaign });
    expect(replica.held).toBe(sessionWaitOverheadBytes + 1_000);
    replica.pass(sessionWaitGraceMs);
    expect([replica.held, replica.waits.count]).toEqual([0, 1]);
  });

  it('SESSION-SOCKET-18: the object stays awake while a wait has a lease that it keeps alive, and for no other wait', () => {
    const replica = new Replica();
    replica.begin('sleeps');
    expect(replica.timers).toBe(0);
    const kept = replica.begin('kept', { id: 2, wait: acquire });
    for (let times = 0; times < 5; times++) {
      expect(replica.timers).toBe(1);
      replica.pass(sessionWaitAwakeMs);
    }
    kept.leave();
    replica.pass(sessionWaitAwakeMs);
    expect(replica.timers).toBe(0);
  });
});
