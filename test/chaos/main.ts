// `npm run chaos`: clients and watchers on a real server while a nemesis is at work; see `help`.

import { writeFileSync } from 'node:fs';
import { commandLine } from '../../src/cli/command-line.ts';
import { wholeNumber } from '../support/option-values.ts';
import { exportHistory } from '../sim/checkers/porcupine-json.ts';
import { nanosecondsOfTime } from './recorder.ts';
import { reportInWords } from './report.ts';
import { chaos } from './run.ts';

const help = `Usage: npm run chaos -- [options]

Starts a server in a process of its own and lets seeded clients and watchers work on one tenant while its replicas are aborted, hang,
lose calls between them, are cut off or lose their disks, and while all processes are killed with SIGKILL and started again. Then all is
healed, and it is checked that
  - the history is linearizable: every answer fits one order; a write without an answer may have been applied, a refused one was not;
  - every acknowledged write is its own revision, no write was done twice, and reads show exactly the state at their revision;
  - watches, over all their connections, were ordered, unique, atomic, reliable, resumable and bookmarkable, with right previous
    values and nothing from before the revision that was asked for;
  - a list and the events after it make the store, and so does what each of three leaders in turn has.

  --seconds N      how long things go wrong; from 45 on, groups rest and disks are lost, too  (60)
  --seed N         of clients and faults; their timing is the machine's                       (1)
  --history FILE   write the history as porcupine's JSON (test/sim/checkers/porcupine-json.ts says how)
  --help           print this

Ends with 0 where nothing was found, with 1 where something was, with 2 where the command line is wrong.
`;

async function main(): Promise<void> {
  const values = commandLine(help, {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    history: { type: 'string' },
  });
  const run = { seconds: wholeNumber('--seconds', values.seconds), seed: wholeNumber('--seed', values.seed) };
  const report = await chaos(run);
  if (values.history !== undefined) writeFileSync(values.history, exportHistory(report.history, nanosecondsOfTime));
  process.stdout.write(reportInWords(report, run));
  if (report.violations.length > 0) process.exitCode = 1;
}

await main();
