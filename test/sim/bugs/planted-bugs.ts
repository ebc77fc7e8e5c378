// Shows that the checkers can fail: plants each bug in turn and explores seeds until a checker finds it.

import { bugs, type PlantedBug } from './bugs.ts';
import { explore, Tally } from '../exploration.ts';
import { inShort } from '../simulation.ts';

/** Prints for each bug the seed and the rule that caught it. False: a bug was not caught. */
export async function showBugs(
  planted: readonly PlantedBug[],
  seeds: { readonly first: number; readonly seeds: number; readonly jobs: number },
): Promise<boolean> {
  let missed = 0;
  for (const bug of planted) {
    const { what, mix = {} } = bugs[bug];
    const tally = new Tally();
    const [failed] = await explore({ ...seeds, bug, mix, stops: true }, tally);
    if (failed === undefined) missed++;
    const found = failed === undefined ? `NOT CAUGHT in ${tally.seeds} seeds` : `caught by ${inShort(failed)}`;
    console.log(`${bug} (${what})\n  ${found}`);
  }
  console.log(`${planted.length - missed} of ${planted.length} planted bugs were caught`);
  return missed === 0;
}
