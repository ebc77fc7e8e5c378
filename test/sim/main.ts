// Explores seeds, or shows that planted bugs are found. See `help`.

import { commandLine } from '../../src/cli/command-line.ts';
import { choice, wholeNumber } from '../support/option-values.ts';
import { bugs, plantedBugs } from './bugs/bugs.ts';
import { explore, Tally } from './exploration.ts';
import { showBugs } from './bugs/planted-bugs.ts';
import { failureInWords, inShort } from './simulation.ts';

const help = `Usage: npm run sim -- [options]

Runs groups of replicas under seeded faults, and checks what they did. Prints how often each thing happened and in how many runs, and the
seeds per second. A failure ends it with 1, and prints the last events, the seed, its faults and the command that runs it again.

  --seeds N      how many seeds (100; with --bugs: at most so many for each bug, 2000)
  --first N      the first seed (1)
  --jobs N       threads (1)
  --keep-going   do not stop at a failure: print a line for each seed that fails
  --bug NAME     plant this bug: the run should fail
  --bugs         plant each bug in turn, or the one of --bug, until it is caught; npm run sim:bugs does this
  --help         print this

Bugs:
${plantedBugs.map((bug) => `  ${bug.padEnd(24)} ${bugs[bug].what}`).join('\n')}
`;

const options = {
  seeds: { type: 'string' },
  first: { type: 'string', default: '1' },
  jobs: { type: 'string', default: '1' },
  bug: { type: 'string' },
  bugs: { type: 'boolean', default: false },
  'keep-going': { type: 'boolean', default: false },
} as const;

const values = commandLine(help, options);
const bug = values.bug === undefined ? null : choice('--bug', values.bug, plantedBugs);
const jobs = wholeNumber('--jobs', values.jobs);
const first = wholeNumber('--first', values.first);
const seeds = wholeNumber('--seeds', values.seeds ?? (values.bugs ? '2000' : '100'));

if (values.bugs) {
  if (!(await showBugs(bug === null ? plantedBugs : [bug], { first, seeds, jobs }))) process.exitCode = 1;
} else await exploreAll();

async function exploreAll(): Promise<void> {
  const startedMs = performance.now();
  const tally = new Tally();
  const mix = bug === null ? {} : (bugs[bug].mix ?? {});
  const stops = !values['keep-going'];
  const failures = await explore({ first, seeds, jobs, bug, mix, stops }, tally);
  const seconds = (performance.now() - startedMs) / 1_000;
  for (const line of tally.lines()) console.log(line);
  const speed = `${(tally.seeds / seconds).toFixed(1)} seeds/s`;
  const [failed] = failures;
  if (failed?.failure == null) return console.log(`${seeds} seeds from ${first} on, no failure, ${speed}`);
  process.exitCode = 1;
  if (stops) console.log(failureInWords(failed, failed.failure, bug));
  else for (const failure of failures) console.log(inShort(failure));
  console.log(`${tally.seeds} seeds, ${failures.length} failed, ${speed}`);
}
