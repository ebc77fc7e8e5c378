// Decides whether a small history is linearizable by trying everything. The search must agree with it.

import type { Operation } from './history.ts';

type Plain = Map<string, { value: string; mod: number; create: number; version: number }>;

/** Tries every order, every choice of lost writes, and every revision that they may have had. */
export function isPossible(part: readonly Operation[]): boolean {
  const go = (left: readonly Operation[], pairs: Plain, revision: number): boolean => {
    if (left.every(({ outcome }) => outcome.kind !== 'answered')) return true;
    const firstReturn = Math.min(
      ...left.map(({ outcome }) => (outcome.kind === 'answered' ? outcome.return : Number.POSITIVE_INFINITY)),
    );
    return left.some((operation, place) => {
      if (operation.call > firstReturn) return false;
      const rest = left.toSpliced(place, 1);
      return after(operation, pairs, revision).some((next) => go(rest, next.pairs, next.revision));
    });
  };
  return go(
    part.filter(({ outcome }) => outcome.kind !== 'refused'),
    new Map(),
    0,
  );
}

/** The states after an operation that took place here and gave this answer. */
function after({ input, outcome }: Operation, before: Plain, revision: number): { pairs: Plain; revision: number }[] {
  const held = input.when.every(({ key, mod }) => (before.get(key)?.mod ?? 0) === mod);
  const deletes = input.writes.filter(({ kind, key }) => kind === 'delete' && before.has(key)).length;
  const changes = held && (deletes > 0 || input.writes.some(({ kind }) => kind === 'put'));
  if (outcome.kind !== 'answered') {
    if (!changes) return [];
    const revisions = Array.from({ length: 12 }, (_, index) => index + 2).filter((each) => each > revision);
    return revisions.map((mod) => ({ pairs: written(input.writes, before, mod), revision: mod }));
  }
  const { answer } = outcome;
  if (answer.held !== held || answer.revision < revision) return [];
  if (changes && answer.revision <= revision) return [];
  if (held && answer.deleted !== null && answer.deleted !== deletes) return [];
  const pairs = held ? written(input.writes, before, answer.revision) : before;
  const isTrue = answer.pairs.every((seen, place) => {
    const there = pairs.get(input.reads[place] ?? '');
    if (there === undefined || seen === null) return there === undefined && seen === null;
    return Object.entries(seen).every(([name, told]) => told === null || Reflect.get(there, name) === told);
  });
  return isTrue ? [{ pairs, revision: answer.revision }] : [];
}

function written(writes: Operation['input']['writes'], before: Plain, mod: number): Plain {
  const pairs: Plain = new Map(before);
  for (const write of writes) {
    const old = pairs.get(write.key);
    if (write.kind === 'delete') pairs.delete(write.key);
    else
      pairs.set(write.key, { value: write.value, mod, create: old?.create ?? mod, version: (old?.version ?? 0) + 1 });
  }
  return pairs;
}
