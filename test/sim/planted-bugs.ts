// Shows that the checkers can fail: plants each bug in turn and explores seeds until a checker finds it.
// node test/sim/planted-bugs.ts [--seeds N] [--bug NAME], by default up to 300 seeds a bug. Exits 1 if a bug was not found.

import { parseArgs } from 'node:util';
import { type FaultMix, type PlantedBug, plantedBugs } from './faults.ts';
import { simulate } from './simulation.ts';

const { values } = parseArgs({ options: { seeds: { type: 'string', default: '300' }, bug: { type: 'string' } } });
const seedsMax = Number(values.seeds);

/** Faults without which a bug hardly ever shows. A vote counts twice only where several stand in one term and a voter crashes. */
const mixes: { readonly [Bug in PlantedBug]?: Partial<FaultMix> } = {
  voteForgotten: { replicas: 3, longLeases: 0, crashAfterSync: 0.05, rivalsEveryMs: 1_000, impatient: 0.5 },
};

for (const bug of plantedBugs) {
  if (values.bug !== undefined && values.bug !== bug) continue;
  const mix = mixes[bug] ?? {};
  let seed = 1;
  let report = await simulate({ seed, bug, mix });
  while (report.failure === null && seed < seedsMax) report = await simulate({ seed: ++seed, bug, mix });
  if (report.failure === null) process.exitCode = 1;
  const found =
    report.failure === null ? `NOT FOUND in ${seed} seeds` : `found by seed ${seed}: ${report.failure.message}`;
  console.log(`${bug}: ${found.replaceAll(/\.{9,}/g, '...').slice(0, 220)}`);
}
