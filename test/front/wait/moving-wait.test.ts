// A wait that moves from leader to leader, before replicas that answer as the test says.

import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/base/bytes.ts';
import { type MovedWaitEnd, MovingWait, type WaitAttempt } from '../../../src/front/wait/moving-wait.ts';
import { attemptLongMs, requestTimeoutMs, sessionWaitGraceMs } from '../../../src/limits.ts';
import type { WaitAnswer } from '../../../src/model/waits.ts';
import { KnownGroup } from '../../../src/routing/known-group.ts';
import type { WaitSink } from '../../../src/session/client-port.ts';

const header = { clusterId: '1', memberId: '2', raftTerm: 1, revision: 5 };
const locked: WaitAnswer = {
  kind: 'answered',
  header,
  outcome: { kind: 'locked', locked: { key: utf8('a/1'), revision: 5 } },
};
const elsewhere = (leader: number): WaitAnswer => ({ kind: 'notLeader', leader, members: [] });

type Asked = WaitAttempt & { readonly replica: number; readonly sink: WaitSink; left: boolean };

class Stage {
  nowMs = 0;
  readonly asked: Asked[] = [];
  readonly ends: MovedWaitEnd[] = [];
  over = 0;
  readonly closed = new Set<number>();
  readonly absent = new Set<number>();
  readonly group = new KnownGroup();
  #tasks: { atMs: number; task: () => void }[] = [];
  readonly wait = new MovingWait(
    {
      waitAt: (replica, attempt, sink) => {
        const asked: Asked = { ...attempt, replica, sink, left: false };
        this.asked.push(asked);
        return { leave: () => (asked.left = true) };
      },
      isOpen: (replica) => !this.closed.has(replica),
      isAbsent: (replica) => this.absent.has(replica),
      group: this.group,
      nowMs: () => this.nowMs,
      later: (delayMs, task) => {
        const own = { atMs: this.nowMs + delayMs, task };
        this.#tasks.push(own);
        return () => (this.#tasks = this.#tasks.filter((other) => other !== own));
      },
    },
    (end) => this.ends.push(end),
    () => this.over++,
  );

  get last(): Asked {
    const last = this.asked.at(-1);
    if (last === undefined) throw new Error('a replica was asked');
    return last;
  }

  get replicas(): readonly number[] {
    return this.asked.map(({ replica }) => replica);
  }

  run(forMs: number): void {
    const untilMs = this.nowMs + forMs;
    for (;;) {
      const [next] = this.#tasks.toSorted((left, right) => left.atMs - right.atMs);
      if (next === undefined || next.atMs > untilMs) break;
      this.#tasks = this.#tasks.filter((other) => other !== next);
      this.nowMs = next.atMs;
      next.task();
    }
    this.nowMs = untilMs;
  }
}

describe('a wait that moves', () => {
  it('FRONT-WAIT-3: goes where it is told the leader is, and elsewhere where a connection breaks', () => {
    const stage = new Stage();
    stage.last.sink.settled(elsewhere(3));
    stage.last.sink.interrupted();
    stage.last.sink.settled(elsewhere(0));
    stage.last.sink.settled(locked);
    expect(stage.replicas).toEqual([1, 3, 1, 2]);
    expect(stage.asked.map(({ mayBeAlone }) => mayBeAlone)).toEqual([true, false, false, false]);
    expect(stage.asked.map(({ suspectedLeader }) => suspectedLeader)).toEqual([0, 0, 3, 3]);
    // What is still said there is of another connection.
    stage.asked[1]?.sink.settled(locked);
    expect(stage.ends).toEqual([{ ...locked, mayHaveBegun: true }]);
    expect(stage.over).toBe(1);
    // Nothing was given up.
    expect(stage.asked.map(({ left }) => left)).toEqual([false, true, false, false]);
  });

  it('FRONT-WAIT-5: ends where no leader is found in time, which begins anew behind one that kept the wait', () => {
    const stage = new Stage();
    for (let rounds = 0; rounds < 3; rounds++) {
      stage.run(attemptLongMs);
      stage.last.sink.interrupted();
    }
    expect(stage.asked).toHaveLength(4);
    const beganMs = stage.nowMs;
    for (let tries = 0; stage.ends.length === 0; tries++) {
      const { length } = stage.asked;
      stage.last.sink.settled(elsewhere(0));
      // Each waits a little longer than the one before.
      for (; stage.asked.length === length && stage.ends.length === 0;) stage.run(10);
      expect(tries).toBeLessThan(100);
    }
    expect(stage.ends).toEqual([{ kind: 'unavailable' }]);
    expect(stage.nowMs - beganMs).toBeGreaterThan(requestTimeoutMs - attemptLongMs);
    expect(stage.nowMs - beganMs).toBeLessThanOrEqual(requestTimeoutMs + 250);
  });

  it('FRONT-WAIT-5: ends where no replica exists', () => {
    const stage = new Stage();
    for (const replica of [1, 2, 3]) {
      stage.absent.add(replica);
      expect(stage.last.replica).toBe(replica);
      stage.last.sink.interrupted();
      stage.run(1_000);
    }
    expect(stage.ends).toEqual([{ kind: 'absent' }]);
  });

  it('FRONT-WAIT-2: is left at once where it is', () => {
    const stage = new Stage();
    stage.wait.leave();
    expect([stage.last.left, stage.over, stage.ends]).toEqual([true, 1, []]);
    stage.last.sink.interrupted();
    expect(stage.asked).toHaveLength(1);
  });

  it('FRONT-WAIT-5: is left at the next leader, if it is left between two', () => {
    const stage = new Stage();
    stage.closed.add(1);
    stage.wait.leave();
    stage.last.sink.interrupted();
    expect(stage.last.replica).toBe(2);
    stage.last.sink.settled(elsewhere(3));
    expect(stage.last).toMatchObject({ replica: 3, left: false });
    // It stands in the queue there, since nothing was said by now.
    stage.run(attemptLongMs);
    expect(stage.last.left).toBe(true);
    expect([stage.over, stage.ends]).toEqual([1, []]);
  });

  it('FRONT-WAIT-5: is left at the next leader where its turn comes there', () => {
    const stage = new Stage();
    stage.last.sink.interrupted();
    stage.wait.leave();
    stage.last.sink.settled(locked);
    expect([stage.last.left, stage.over, stage.ends]).toEqual([true, 1, []]);
  });

  it('FRONT-WAIT-5: is left to its lease where no leader is found for sessionWaitGraceMs', () => {
    const stage = new Stage();
    stage.closed.add(1);
    stage.wait.leave();
    const leftMs = stage.nowMs;
    while (stage.over === 0) {
      const { length } = stage.asked;
      stage.last.sink.settled(elsewhere(0));
      for (; stage.asked.length === length && stage.over === 0;) stage.run(10);
    }
    expect(stage.nowMs - leftMs).toBeGreaterThanOrEqual(sessionWaitGraceMs - 250);
    expect(stage.nowMs - leftMs).toBeLessThan(sessionWaitGraceMs + 500);
    expect(stage.ends).toEqual([]);
  });

  it('FRONT-WAIT-3: ends where the sessions are closed', () => {
    const stage = new Stage();
    stage.wait.close();
    expect(stage.ends).toEqual([{ kind: 'closed' }]);
    stage.last.sink.interrupted();
    expect(stage.asked).toHaveLength(1);
  });
});
