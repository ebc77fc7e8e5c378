// A leader that crashed, hangs, is partitioned or can call nobody: the next write succeeds without its help, and one
// election is all that comes of it. A leader that is busy stays.

import { describe, expect, it } from 'vitest';
import type { CallAnswer } from '../../src/model/calls.ts';
import { electionTimeoutTicks, leaderDoubtPauseMs, tickMs } from '../../src/limits.ts';
import { Machines } from '../support/machines.ts';
import { pass } from '../support/virtual-crash.ts';
import { answerTo, inVirtualTime } from '../support/virtual-time.ts';

inVirtualTime();

const faults: Readonly<Record<string, (leader: ReturnType<Machines['replica']>) => void>> = {
  'its object crashes': (leader) => leader.crash(0),
  'nothing reaches it and nothing leaves it': (leader) => (leader.isCutOff = true),
  'no peer reaches it and it reaches none': (leader) => (leader.lost = 'all'),
  'its own calls to its peers are lost': (leader) => (leader.lost = 'own'),
  'the answers to its own calls are lost': (leader) => (leader.lost = 'answers'),
  'everything that comes to it hangs': (leader) => (leader.takesMs = 60_000),
};

describe('a leader of which', () => {
  it.each(Object.entries(faults))('FAILOVER-21: %s does not stand in the way of the next write', async (_, fault) => {
    const machines = await Machines.start();
    expect((await answerTo(machines.put('before', null)))?.body).toMatchObject({ revision: 2 });
    const { term } = machines.replica(1).member.driver.raft;
    await pass(leaderDoubtPauseMs + 37);
    fault(machines.replica(1));
    const next = await answerTo(machines.put('next', null));
    expect(next).toMatchObject({ status: 200, body: { revision: 3, version: 2 } });
    expect(next?.tookMs).toBeLessThan(500);
    expect((await answerTo(machines.put('second', null)))?.tookMs).toBeLessThan(50);
    expect(machines.replica(2).member.driver.raft.term).toBe(term + 1);
    machines.heal();
    await pass(3_000);
    expect(machines.state()).toEqual(machines.state().map(() => ({ revision: 4, version: 3, value: 'second' })));
    expect(machines.replica(2).member.driver.raft.term).toBe(term + 1);
    machines.stop();
  });

  it('FAILOVER-22: all answers come late because it is busy keeps its place, though every call is hedged', async () => {
    const machines = await Machines.start();
    const { term } = machines.replica(1).member.driver.raft;
    const answers: Promise<Response>[] = [];
    for (let write = 0; write < 200; write++) {
      machines.replica(1).takesMs = Math.min(5 * write, 450);
      // Each call comes by an isolate that has seen no other answer of the leader.
      machines.forgetAll();
      answers.push(machines.put(`${write}`, null));
      await pass(20);
    }
    await pass(3_000);
    for (const answer of await Promise.all(answers)) expect(answer.status).toBe(200);
    expect(machines.state()[0]).toMatchObject({ revision: 201, version: 200 });
    const { raft } = machines.replica(1).member.driver;
    expect([raft.role, raft.term]).toEqual(['leader', term]);
    machines.stop();
  });
});

describe('a leader without a quorum', () => {
  it.each([
    { reached: 'did not reach', lost: 'all' },
    { reached: 'reached', lost: 'answers' },
  ] as const)(
    'FAILOVER-23: does not answer for a write that $reached the others; the retry finds it done once',
    async ({ lost }) => {
      const machines = await Machines.start();
      const leader = machines.replica(1);
      leader.lost = lost;
      let answer: CallAnswer | null = null;
      void machines.putAt(1, 'once', 'the-put').then((given) => (answer = given));
      await pass(electionTimeoutTicks * tickMs - 200);
      expect(answer).toBeNull();
      await pass(400);
      // The leader steps down and sends the caller on. No replica here knows what became of the write.
      expect(answer).toMatchObject({ kind: 'notLeader', leader: 0 });
      machines.heal();
      const again = await answerTo(machines.put('once', 'the-put'));
      expect(again).toMatchObject({ status: 200, body: { revision: 2, version: 1 } });
      await pass(1_000);
      expect(machines.state()).toEqual(machines.state().map(() => ({ revision: 2, version: 1, value: 'once' })));
      machines.stop();
    },
  );
});
