// `npm run failover`: how long a store is without a leader. Does a fault to the leader's object again and again, as
// `npm start -- --fault-port` can, and measures from before the fault to the next acknowledged write, as a client sees
// it: over HTTP, and over sessions of its own with the replicas, in turn.

import { commandLine } from '../../src/cli/command-line.ts';
import { choice, wholeNumber } from '../support/option-values.ts';
import { faults, FaultyServer, ways } from './leader-faults.ts';

const help = `Usage: npm run failover -- [options]

Does a fault to the leader of a store, sends one more write, and measures the milliseconds until that write is acknowledged. Prints the same
for the write after it, and for a write without a fault. Each fault is done for a client over HTTP and for one over sessions, in turn.

  --rounds N     how often each fault is done (100)
  --fault NAME   only this fault: abort, partition, slow or failing
  --way NAME     only this way: http or session
  --help         print this
`;

async function main(): Promise<void> {
  const values = commandLine(help, {
    rounds: { type: 'string', default: '100' },
    fault: { type: 'string' },
    way: { type: 'string' },
  });
  const way = values.way === undefined ? null : choice('--way', values.way, ways);
  const rounds = wholeNumber('--rounds', values.rounds);
  const names = faults.map(({ name }) => name);
  const only = values.fault === undefined ? null : choice('--fault', values.fault, names);
  const server = await FaultyServer.start();
  try {
    console.log(`${rounds} faults of each kind to the leader, for each way; milliseconds`);
    const asked = server.ways.filter(({ name }) => way === null || name === way);
    for (const fault of faults.filter(({ name }) => only === null || name === only)) {
      const measured = await server.measure(asked, fault, rounds);
      console.log(`${fault.name}: ${fault.words}`);
      for (const { way: by, undisturbed, next, second } of measured) {
        console.log(`  ${by.name}`);
        console.log(`    next write       ${summary(next)}`);
        console.log(`    second write     ${summary(second)}`);
        console.log(`    undisturbed      ${summary(undisturbed)}`);
      }
    }
  } finally {
    await server.dispose();
  }
}

function summary(values: readonly number[]): string {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (part: number) => (sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0).toFixed(0);
  return `median ${at(0.5).padStart(4)}, p90 ${at(0.9).padStart(4)}, worst ${at(1).padStart(4)}`;
}

await main();
