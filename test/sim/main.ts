// Explores seeds: node test/sim/main.ts --seeds 1000 --first 1 [--bug NAME]. Stops at the first failure, with the seed, its
// faults and the last events. At the end: seeds per second, and how often each thing happened.

import { parseArgs } from 'node:util';
import { type PlantedBug, plantedBugs } from './faults.ts';
import { failureInWords, simulate } from './simulation.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    first: { type: 'string', default: '1' },
    bug: { type: 'string' },
  },
});

const seeds = wholeNumber('seeds', values.seeds);
const first = wholeNumber('first', values.first);
const bug = values.bug === undefined ? null : bugNamed(values.bug);

const startedMs = performance.now();
const totals = new Map<string, { times: number; runs: number }>();
for (let seed = first; seed < first + seeds; seed++) {
  const report = await simulate({ seed, bug });
  for (const [what, times] of report.counts) {
    const total = totals.get(what) ?? { times: 0, runs: 0 };
    totals.set(what, { times: total.times + times, runs: total.runs + 1 });
  }
  if (report.failure === null) continue;
  console.log(failureInWords(report, report.failure, bug));
  process.exitCode = 1;
  break;
}

const seconds = (performance.now() - startedMs) / 1_000;
const width = Math.max(...[...totals.keys()].map((what) => what.length));
for (const [what, { times, runs }] of [...totals].sort(([left], [right]) => left.localeCompare(right))) {
  console.log(`${what.padEnd(width)} ${String(times).padStart(10)}  in ${runs} runs`);
}
if (process.exitCode !== 1) {
  console.log(`${seeds} seeds from ${first} on, no failure, ${(seeds / seconds).toFixed(1)} seeds/s`);
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  return refuse(`--${name} takes a whole number from 1 on, not "${text}"`);
}

function bugNamed(name: string): PlantedBug {
  const bug = plantedBugs.find((one) => one === name);
  if (bug !== undefined) return bug;
  return refuse(`--bug takes one of ${plantedBugs.join(', ')}, not "${name}"`);
}

function refuse(reason: string): never {
  console.error(reason);
  process.exit(2);
}
