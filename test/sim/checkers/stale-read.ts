// A fault that the tests of the checkers plant into a history.

import type { Operation } from './history.ts';

/** The operation at this place with a fault. Null: this operation cannot have the fault. */
export type Planted = (history: readonly Operation[], place: number) => Operation | null;

/** The read is answered from the first state of the store. */
export const staleRead: Planted = (history, place) => {
  const operation = history[place];
  if (operation?.outcome.kind !== 'answered' || operation.call < 100) return null;
  const { reads, writes, serializable } = operation.input;
  if (serializable || writes.length > 0) return null;
  const answer = { held: true, revision: 1, deleted: null, pairs: reads.map(() => null) };
  return { ...operation, outcome: { ...operation.outcome, answer } };
};
