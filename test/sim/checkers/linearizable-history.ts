// Decides whether a history of clients is linearizable. Operations that share no key are checked apart, because
// linearizability is local. A lost operation may have been done or not. A refused operation takes no part: if it was
// done, nothing else explains what it left.

import { type Answer, type Input, inWords, isAnswered, type Operation, short, type Violation } from './history.ts';
import { type Certain, type Found, linearize, type Possible, type PossibleClass } from './order-search.ts';
import { type Step, type StoreState, surelyChanges, versionedStore } from '../models/versioned-store.ts';

/** This is far more than a history of 10,000 operations takes. */
const stepsMaxDefault = 5_000_000;
/** How many operations before the position where the search ended are shown. */
const shownBefore = 8;

export function checkLinearizable(history: readonly Operation[], stepsMax = stepsMaxDefault): Violation[] {
  const counted = history.filter(
    ({ input, outcome }) =>
      !input.serializable && outcome.kind !== 'refused' && (isWrite(input) || outcome.kind !== 'lost'),
  );
  return partition(counted).flatMap((part) => checkPart(part, stepsMax));
}

function isWrite({ writes }: Operation['input']): boolean {
  return writes.length > 0;
}

/** Operations that share keys, directly or through others, stay together. */
export function partition(history: readonly Operation[]): Operation[][] {
  const groups = new Groups();
  for (const operation of history) groups.join(keysOf(operation));
  return [...Map.groupBy(history, (operation) => groups.of(keysOf(operation)[0] ?? '')).values()];
}

/** Keys that belong together. */
class Groups {
  readonly #parents = new Map<string, string>();

  join([first, ...others]: readonly string[]): void {
    if (first === undefined) return;
    for (const other of others) this.#parents.set(this.of(other), this.of(first));
  }

  of(key: string): string {
    const parent = this.#parents.get(key) ?? key;
    if (parent === key) return key;
    const root = this.of(parent);
    this.#parents.set(key, root);
    return root;
  }
}

function keysOf({ input: { when, writes, reads } }: { readonly input: Input }): string[] {
  return [...when.map(({ key }) => key), ...writes.map(({ key }) => key), ...reads];
}

function checkPart(part: readonly Operation[], stepsMax: number): Violation[] {
  const search = searchOf(part);
  const taken = search.certain.flatMap(({ operation: { input, answer } }) =>
    answer !== null && surelyChanges(input, answer) ? [answer.revision] : [],
  );
  const found = linearize({ model: versionedStore(new Set(taken)), rowMin: 0, stepsMax, ...search });
  return found.kind === 'linearizable' ? [] : [violation(found, search.operationOf)];
}

type PartSearch = {
  readonly certain: readonly Certain<Step>[];
  readonly possible: readonly PossibleClass<Step>[];
  readonly operationOf: ReadonlyMap<Step, Operation>;
};

function searchOf(part: readonly Operation[]): PartSearch {
  const seen = new SeenWrites(part);
  const operationOf = new Map<Step, Operation>();
  const certain: Certain<Step>[] = [];
  const unseen = new Map<string, Possible<Step>[]>();
  for (const [index, operation] of part.entries()) {
    const { call, input, outcome } = operation;
    const name = -1 - index;
    const told = outcome.kind === 'answered' ? outcome : seen.outcomeOf(operation);
    const step: Step =
      told === null ? { input: seen.without(input), answer: null, name } : { input, answer: told.answer, name };
    operationOf.set(step, operation);
    if (told !== null) certain.push({ operation: step, call, return: told.return });
    else {
      const kind = JSON.stringify(step.input);
      unseen.set(kind, [...(unseen.get(kind) ?? []), { operation: step, call }]);
    }
  }
  return { certain, possible: classesOf([...unseen.values()]), operationOf };
}

/** A lost operation matters to operations that share its keys, directly or through others that may have taken place. */
function classesOf(classes: readonly (readonly Possible<Step>[])[]): PossibleClass<Step>[] {
  const groups = new Groups();
  for (const [first] of classes) if (first !== undefined) groups.join(keysOf(first.operation));
  return classes.map((members) => {
    const own = groups.of(keysOf(members[0]?.operation ?? { input: noInput })[0] ?? '');
    return { members, concerns: (operation) => keysOf(operation).some((key) => groups.of(key) === own) };
  });
}

const noInput: Input = { when: [], writes: [], reads: [], serializable: false };

/** A value that no write of the history can have. */
const unseenValue = '\0unseen';

/**
 * What answers show of lost writes. A write whose value was read took place before that read ended, and the read shows
 * its revision. Readers cannot tell values that nobody read apart, so writes that differ in these alone have the same
 * effect.
 */
class SeenWrites {
  /** The first answer that showed the value. */
  readonly #first = new Map<string, { readonly return: number; readonly mod: number }>();
  readonly #writers = new Map<string, number>();

  constructor(part: readonly Operation[]) {
    for (const operation of part) {
      for (const write of operation.input.writes) {
        if (write.kind === 'put') this.#count(write.key, write.value);
      }
      if (!isAnswered(operation)) continue;
      const { answer, return: end } = operation.outcome;
      for (const [place, pair] of answer.pairs.entries()) {
        if (pair !== null && pair.value !== null)
          this.#see(operation.input.reads[place] ?? '', pair.value, { return: end, mod: pair.mod });
      }
    }
  }

  /** What is known of a lost write. Null: it is unknown whether the write took place. */
  outcomeOf({ call, input }: Operation): { readonly return: number; readonly answer: Answer } | null {
    const [first] = input.writes
      .flatMap((write) => {
        if (write.kind !== 'put' || this.#writers.get(pairText(write.key, write.value)) !== 1) return [];
        return this.#first.get(pairText(write.key, write.value)) ?? [];
      })
      .sort((left, right) => left.return - right.return);
    if (first === undefined || first.return < call) return null;
    return { return: first.return, answer: { held: true, revision: first.mod, deleted: null, pairs: [] } };
  }

  without(input: Input): Input {
    const writes = input.writes.map((write) =>
      write.kind === 'put' && !this.#first.has(pairText(write.key, write.value))
        ? { ...write, value: unseenValue }
        : write,
    );
    return { ...input, writes, reads: [] };
  }

  #count(key: string, value: string): void {
    const text = pairText(key, value);
    this.#writers.set(text, (this.#writers.get(text) ?? 0) + 1);
  }

  #see(key: string, value: string, seen: { readonly return: number; readonly mod: number }): void {
    const text = pairText(key, value);
    const first = this.#first.get(text);
    if (first === undefined || seen.return < first.return) this.#first.set(text, seen);
  }
}

function pairText(key: string, value: string): string {
  return `${key}\0${value}`;
}

function violation(
  found: Exclude<Found<StoreState, Step>, { kind: 'linearizable' }>,
  operationOf: PartSearch['operationOf'],
): Violation {
  const operations = (steps: readonly Step[]): Operation[] => steps.flatMap((step) => operationOf.get(step) ?? []);
  const before = operations(found.order.slice(-shownBefore));
  const pending = operations(found.pending);
  const state = [...found.state.pairs].map(
    ([key, { mod, version, value }]) => `${key} at ${mod} v${version}=${short(value)}`,
  );
  const claim =
    found.kind === 'impossible'
      ? 'no order explains the answers'
      : `no order was found that explains the answers, and none has fewer than ${found.row} lost writes in a row`;
  const what = [
    `${claim}: ${found.order.length} operations fit, and none of these goes on`,
    `the state there: revision ${found.state.revision}; ${state.join('; ') || 'no keys'}`,
    ...pending.map((operation) => `  does not fit: ${inWords(operation)}`),
  ].join('\n');
  return { rule: 'linearizable', what, operations: [...before, ...pending] };
}
