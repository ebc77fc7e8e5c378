// Explores seeds, or shows that planted bugs are found. See `usage`.

import { parseArgs } from 'node:util';
import { bugs, isPlantedBug, type PlantedBug, plantedBugs } from './bugs/bugs.ts';
import { explore, Tally } from './exploration.ts';
import { showBugs } from './bugs/planted-bugs.ts';
import { failureInWords, inShort } from './simulation.ts';

const usage = `Runs groups of replicas under the faults of seeds, and checks what becomes of them.

npm run sim -- [options]
  --seeds N    how many seeds (100; with --bugs: at most so many for each bug, 2000)
  --first N    the first of them (1)
  --jobs N     in so many threads (1)
  --keep-going after a failure, too: prints all seeds that fail, a line each
  --bug NAME   with this bug planted: a failure is what is hoped for
  --bugs       plants each bug in turn (or the one of --bug) until it is caught: npm run sim:bugs
  --help

It prints how often each thing happened and in how many runs; after a failure the last events, the seed, its faults and the
command that runs it again; and the seeds per second.

Bugs:
${plantedBugs.map((bug) => `  ${bug.padEnd(24)} ${bugs[bug].what}`).join('\n')}`;

const options = {
  seeds: { type: 'string' },
  first: { type: 'string', default: '1' },
  jobs: { type: 'string', default: '1' },
  bug: { type: 'string' },
  bugs: { type: 'boolean', default: false },
  'keep-going': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

const values = parsed();
const bug = values.bug === undefined ? null : bugNamed(values.bug);
const jobs = wholeNumber('jobs', values.jobs);
const first = wholeNumber('first', values.first);
const seeds = wholeNumber('seeds', values.seeds ?? (values.bugs ? '2000' : '100'));

if (values.help) console.log(usage);
else if (values.bugs) {
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

function parsed(): ReturnType<typeof parseArgs<{ options: typeof options }>>['values'] {
  try {
    return parseArgs({ options, allowPositionals: false }).values;
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  return refuse(`--${name} takes a whole number from 1 on, not "${text}"`);
}

function bugNamed(name: string): PlantedBug {
  if (isPlantedBug(name)) return name;
  return refuse(`--bug takes one of ${plantedBugs.join(', ')}, not "${name}"`);
}

function refuse(reason: string): never {
  console.error(`${reason}\nSee --help.`);
  process.exit(2);
}
