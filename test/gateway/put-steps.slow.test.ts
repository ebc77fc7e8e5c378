// A put with a fault at every step of its way: the caller's one call is answered, and the put is applied once on every
// replica.

import { describe, expect, it } from 'vitest';
import { type Fault, Machines, type Point } from '../support/machines.ts';
import { pass } from '../support/virtual-crash.ts';
import { answerTo, inVirtualTime } from '../support/virtual-time.ts';

inVirtualTime();

const ofCalls: readonly Fault[] = ['callHangs', 'callFails', 'crashLosing', 'crashKeeping', 'cutOff'];
const ofSteps: readonly Fault[] = ['crashLosing', 'crashKeeping', 'cutOff'];
const namesOfCalls: readonly Point['name'][] = ['asked', 'arrived', 'answered', 'told'];
const namesOfSteps: readonly Point['name'][] = ['sendEarly', 'write', 'written', 'send', 'answer'];

function faultsAt({ name }: Point): readonly Fault[] {
  return namesOfCalls.includes(name) ? ofCalls : ofSteps;
}

/** One put on a new group, with a fault at this step of its way. Null: without a fault. */
async function run(fault: { readonly at: number; readonly fault: Fault } | null, writeId: string | null) {
  const machines = await Machines.start();
  machines.count(fault);
  const first = await answerTo(machines.put('once', writeId).finally(() => machines.stopCounting()));
  machines.heal();
  await pass(3_000);
  const again = writeId === null ? first : await answerTo(machines.put('once', writeId));
  await pass(1_000);
  const state = machines.state();
  const points = [...machines.points];
  machines.stop();
  return { first, again, state, points };
}

describe.each([
  { whose: 'the gateway’s id', writeId: null },
  { whose: 'an Idempotency-Key', writeId: 'the-put' },
])('a put under $whose with a fault at every step', ({ writeId }) => {
  it('FAILOVER-20: is answered in time, applied once on every replica, and answered the same when it comes again', async () => {
    const without = await run(null, writeId);
    expect(without.first).toMatchObject({ status: 200, body: { revision: 2, version: 1 } });
    expect(new Set(without.points.map(({ name }) => name))).toEqual(new Set([...namesOfCalls, ...namesOfSteps]));
    for (const [at, point] of without.points.entries()) {
      for (const fault of faultsAt(point)) {
        const { first, again, state } = await run({ at, fault }, writeId);
        const where = `${fault} at point ${at}, ${point.name} on ${point.replica}`;
        expect(first, where).toMatchObject({ status: 200, body: { revision: 2, mod_revision: 2, version: 1 } });
        expect(again?.body, where).toEqual(first?.body);
        expect(state, where).toEqual(state.map(() => ({ revision: 2, version: 1, value: 'once' })));
        // The bound in virtual time: a hedge, a look at the leader, an election.
        expect(first?.tookMs, where).toBeLessThan(1_000);
      }
    }
  });
});
