// npm run chaos -- [--seconds N] [--seed N] [--history FILE]

import { parseArgs } from 'node:util';
import { chaos } from './run.ts';

const help = `Usage: npm run chaos -- [options]

Starts a server, lets clients and watchers work while its leader is aborted, hangs, is cut off from its peers, or the whole process is
killed with SIGKILL and started again; then checks that every answer fits one order of all operations (linearizability, without a look
at the log), that no refused write was done, and that watches were ordered, unique, atomic and without a gap.

  --seconds N      how long things go wrong             (60)
  --seed N         of clients and faults                (1)
  --history FILE   write the operations as porcupine's JSON
  --help           print this
`;

const options = {
  seconds: { type: 'string', default: '60' },
  seed: { type: 'string', default: '1' },
  history: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

async function main(): Promise<void> {
  const values = parsed();
  if (values.help) return void process.stdout.write(help);
  const [seconds, seed] = [wholeNumber('seconds', values.seconds), wholeNumber('seed', values.seed)];
  const report = await chaos({ seconds, seed, historyFile: values.history ?? null });
  for (const [what, times] of [...report.counts].sort(([left], [right]) => left.localeCompare(right)))
    console.log(`${what.padEnd(24)} ${times}`);
  console.log(
    `${report.operations} operations, ${report.revision} revisions, longest time without an acknowledged write ${report.longestGapMs} ms`,
  );
  for (const fault of report.faults.slice(0, 20)) console.log(`VIOLATION ${fault}`);
  if (report.faults.length > 0) {
    console.log(`again: npm run chaos -- --seconds ${seconds} --seed ${seed}`);
    process.exitCode = 1;
  } else console.log('no violation');
}

function parsed() {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  return refuse(`--${name} takes a whole number from 1 on, not "${text}"`);
}

function refuse(reason: string): never {
  console.error(reason);
  process.exit(2);
}

await main();
