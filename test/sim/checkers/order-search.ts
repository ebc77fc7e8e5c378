// Searches for an order of operations in which each took place between its call and its return and gave the answer that
// it gave: Wing and Gong's algorithm with Lowe's memory of configurations ("Testing for linearizability", 2017), as
// porcupine has it. This search adds three things. Answers may give operations a rank: then only the lowest pending one
// can be next. Operations may or may not have taken place, at any time after their call, and some nobody asked for:
// these are tried where nothing else goes on, first one in a row, then more; those of one class (equal in effect) in
// the order of their calls, because an earlier one can always stand in for a later one. And what an answer still has to
// show must not end before.

export type Model<State, Op> = {
  readonly initial: State;
  /** The state after the operation. Null: in this state the operation cannot have given its answer. */
  readonly step: (state: State, operation: Op) => State | null;
  /** States with equal texts are equal. */
  readonly keyOf: (state: State) => string;
  /**
   * `step` never takes a lower one after a higher one. Null: the answer says nothing about the operation's position.
   */
  readonly rankOf: (operation: Op) => number | null;
  /** False: in no state that follows can an operation that may have taken place still take place. */
  readonly canFollow: (state: State, operation: Op) => boolean;
  /** The operations that may happen in a state though nobody asked for them. */
  readonly unasked: (state: State) => readonly Op[];
  /** The names of what was there just before the operation, as its answer shows. */
  readonly shows: (operation: Op) => readonly string[];
  /** The names of what a step ends for ever. */
  readonly ended: (before: State, after: State) => Iterable<string>;
};

export type Certain<Op> = { readonly operation: Op; readonly call: number; readonly return: number };
export type Possible<Op> = { readonly operation: Op; readonly call: number };

/** Operations with the same class have the same effect in every state. */
export type PossibleClass<Op> = {
  readonly members: readonly Possible<Op>[];
  /**
   * Whether the first operation, if it took place, can matter to the second, directly or through others that may have
   * taken place.
   */
  readonly concerns: (operation: Op) => boolean;
};

export type Search<State, Op> = {
  readonly model: Model<State, Op>;
  readonly certain: readonly Certain<Op>[];
  readonly possible: readonly PossibleClass<Op>[];
  /**
   * How many operations in a row of those that may have taken place are tried at first. Few where there are many and
   * they rarely matter; Infinity where the model's names keep them from being placed in vain.
   */
  readonly rowMin: number;
  /** The number of steps of the model after which the search is given up. */
  readonly stepsMax: number;
};

export type Found<State, Op> =
  | { readonly kind: 'linearizable'; readonly order: readonly Op[] }
  /**
   * There is no order. `order` is the longest that was found, and `pending` are the operations that could come next and
   * do not fit.
   */
  | {
      readonly kind: 'impossible';
      readonly order: readonly Op[];
      readonly state: State;
      readonly pending: readonly Op[];
    }
  /**
   * The search was given up: there is no order with fewer than `row` operations in a row of those that may have taken
   * place.
   */
  | (Omit<Impossible<State, Op>, 'kind'> & { readonly kind: 'undecided'; readonly row: number });

export type Impossible<State, Op> = {
  readonly kind: 'impossible';
  /** The longest order that was found. */
  readonly order: readonly Op[];
  readonly state: State;
  /** The operations that could come next and do not fit. */
  readonly pending: readonly Op[];
};

/** A call or a return in the list of operations that have no position yet. */
type Entry<Op> = {
  readonly kind: 'call' | 'return' | 'head';
  readonly time: number;
  /** The index of the operation in the order of calls. */
  readonly index: number;
  readonly operation: Op | null;
  before: Entry<Op> | null;
  after: Entry<Op> | null;
};

/** `after`: the state that it leads to. */
type Option<State, Op> = { readonly operation: Op; readonly after: State } & (
  | { readonly kind: 'certain'; readonly entry: Entry<Op> }
  | { readonly kind: 'possible'; readonly place: number }
  | { readonly kind: 'unasked' }
);

/** One position of the search: what can be next there, and what was tried. */
type Frame<State, Op> = {
  readonly state: State;
  /** The highest index of an operation that has a position. */
  readonly last: number;
  /** How many operations that may have taken place were placed just before, in a row. */
  readonly row: number;
  readonly options: Option<State, Op>[];
  /** The certain operations that could come next, whether or not they fit. */
  readonly pending: readonly Op[];
  tried: number;
  /** True: the options are only the certain ones so far. */
  isOnlyCertain: boolean;
};

export function linearize<State, Op>(search: Search<State, Op>): Found<State, Op> {
  let steps = 0;
  for (let row = search.rowMin; ; row++) {
    const linearization = new Linearization(search, row, search.stepsMax - steps);
    const found = linearization.run();
    steps += linearization.steps;
    if (found.kind !== 'impossible' || !linearization.wasHeldBack) return found;
  }
}

class Linearization<State, Op> {
  readonly #search: Search<State, Op>;
  readonly #classes: readonly PossibleClass<Op>[];
  /** How many operations of each class have a position. */
  readonly #used: number[];
  readonly #head: Entry<Op> = { kind: 'head', time: 0, index: -1, operation: null, before: null, after: null };
  readonly #returns: Entry<Op>[] = [];
  readonly #seen = new Set<string>();
  readonly #stack: Frame<State, Op>[] = [];
  /** By name: how many answers of operations without a position show it. */
  readonly #awaited = new Map<string, number>();
  #longest: { readonly depth: number; readonly order: readonly Op[]; readonly frame: Frame<State, Op> } | null = null;

  /** The number of steps of the model so far. */
  steps = 0;
  /** True: more operations in a row might have gone on. */
  wasHeldBack = false;
  readonly #rowMax: number;
  readonly #stepsMax: number;

  constructor(search: Search<State, Op>, rowMax: number, stepsMax: number) {
    this.#search = search;
    this.#rowMax = rowMax;
    this.#stepsMax = stepsMax;
    this.#classes = search.possible.map((each) => ({
      ...each,
      members: each.members.toSorted((left, right) => left.call - right.call),
    }));
    this.#used = this.#classes.map(() => 0);
    this.#link(search.certain.toSorted((left, right) => left.call - right.call));
    for (const { operation } of search.certain) this.#await(operation, 1);
  }

  run(): Found<State, Op> {
    const { model } = this.#search;
    let frame = this.#push(model.initial, -1, 0);
    while (this.#head.after !== null) {
      if (this.steps > this.#stepsMax) return { ...this.#impossible(frame), kind: 'undecided', row: this.#rowMax };
      if (frame.tried === frame.options.length && frame.isOnlyCertain) this.#addUncertain(frame);
      const option = frame.options[frame.tried++];
      if (option === undefined) {
        this.#remember(frame);
        this.#stack.pop();
        const before = this.#stack.at(-1);
        if (before === undefined) return this.#impossible(frame);
        frame = before;
        this.#takeBack(frame.options[frame.tried - 1]);
        continue;
      }
      const last = option.kind === 'certain' ? Math.max(frame.last, option.entry.index) : frame.last;
      const row = option.kind === 'certain' || this.#rowMax === Infinity ? 0 : frame.row + 1;
      this.#place(option);
      if (!this.#endsAwaited(frame.state, option.after) && this.#isNew(option.after, last, row)) {
        frame = this.#push(option.after, last, row);
      } else this.#takeBack(option);
    }
    return { kind: 'linearizable', order: this.#order() };
  }

  #push(state: State, last: number, row: number): Frame<State, Op> {
    const lowest = this.#lowest();
    const pending = lowest.map(({ operation }) => operation);
    const frame: Frame<State, Op> = { state, last, row, options: [], pending, tried: 0, isOnlyCertain: true };
    for (const { entry, operation } of lowest) {
      const after = this.#step(state, operation);
      if (after === null) continue;
      const option = { kind: 'certain', entry, operation, after } as const;
      // An operation that fits here and changes nothing comes before all others, which forbids nothing.
      frame.isOnlyCertain = after !== state;
      if (after === state) frame.options.length = 0;
      frame.options.push(option);
      if (after === state) break;
    }
    this.#stack.push(frame);
    return frame;
  }

  #step(state: State, operation: Op): State | null {
    this.steps++;
    return this.#search.model.step(state, operation);
  }

  /**
   * Of the operations that were called before any other without a position returned: those that can be next by rank.
   */
  #lowest(): { readonly entry: Entry<Op>; readonly operation: Op }[] {
    const called: { readonly entry: Entry<Op>; readonly operation: Op; readonly rank: number | null }[] = [];
    let lowestRank = Number.POSITIVE_INFINITY;
    for (let entry = this.#head.after; entry?.kind === 'call'; entry = entry.after) {
      if (entry.operation === null) continue;
      const rank = this.#search.model.rankOf(entry.operation);
      lowestRank = Math.min(lowestRank, rank ?? lowestRank);
      called.push({ entry, operation: entry.operation, rank });
    }
    return called.filter(({ rank }) => rank === null || rank === lowestRank);
  }

  /** Adds the uncertain operations, where nothing else goes on. */
  #addUncertain(frame: Frame<State, Op>): void {
    const { state, row, options, pending } = frame;
    frame.isOnlyCertain = false;
    const unasked = this.#search.model.unasked(state).map((operation) => ({ kind: 'unasked', operation }) as const);
    for (const option of [...this.#possible(pending), ...unasked]) {
      const after = this.#step(state, option.operation);
      if (after === null || after === state || this.#endsAwaited(state, after)) continue;
      if (row < this.#rowMax) options.push({ ...option, after });
      else this.wasHeldBack = true;
    }
  }

  /** The operations that may have taken place by now, and can matter to what comes next. */
  #possible(pending: readonly Op[]) {
    let entry = this.#head.after;
    while (entry?.kind === 'call') entry = entry.after;
    const before = entry?.time ?? Number.POSITIVE_INFINITY;
    return this.#classes.flatMap(({ members, concerns }, place) => {
      const member = members[this.#used[place] ?? 0];
      if (member === undefined || member.call > before) return [];
      if (!pending.some((operation) => concerns(operation))) return [];
      return [{ kind: 'possible', place, operation: member.operation } as const];
    });
  }

  #await(operation: Op, by: 1 | -1): void {
    for (const name of this.#search.model.shows(operation)) {
      this.#awaited.set(name, (this.#awaited.get(name) ?? 0) + by);
    }
  }

  /** Whether a step ends something that an answer still has to show. */
  #endsAwaited(before: State, after: State): boolean {
    if (before === after) return false;
    for (const name of this.#search.model.ended(before, after)) if ((this.#awaited.get(name) ?? 0) > 0) return true;
    return false;
  }

  #place(option: Option<State, Op>): void {
    if (option.kind === 'possible') this.#used[option.place] = (this.#used[option.place] ?? 0) + 1;
    if (option.kind !== 'certain') return;
    this.#lift(option.entry);
    this.#await(option.operation, -1);
  }

  #takeBack(option: Option<State, Op> | undefined): void {
    if (option?.kind === 'possible') this.#used[option.place] = (this.#used[option.place] ?? 0) - 1;
    if (option?.kind !== 'certain') return;
    this.#unlift(option.entry);
    this.#await(option.operation, 1);
  }

  // The list of calls and returns

  /** At equal times calls come before returns: operations that touch are concurrent. */
  #link(certain: readonly Certain<Op>[]): void {
    const entries = certain.flatMap(({ call, return: end, operation }, index): Entry<Op>[] => [
      { kind: 'call', time: call, index, operation, before: null, after: null },
      { kind: 'return', time: end, index, operation, before: null, after: null },
    ]);
    const rank = ({ kind }: Entry<Op>): number => (kind === 'call' ? 0 : 1);
    entries.sort((left, right) => left.time - right.time || rank(left) - rank(right));
    let last = this.#head;
    for (const entry of entries) {
      if (entry.kind === 'return') this.#returns[entry.index] = entry;
      entry.before = last;
      last.after = entry;
      last = entry;
    }
  }

  #lift(call: Entry<Op>): void {
    for (const entry of [call, this.#returns[call.index]]) {
      if (entry === undefined) continue;
      if (entry.before !== null) entry.before.after = entry.after;
      if (entry.after !== null) entry.after.before = entry.before;
    }
  }

  /** Puts them back in the opposite order of `#lift`, because each still knows its neighbours. */
  #unlift(call: Entry<Op>): void {
    for (const entry of [this.#returns[call.index], call]) {
      if (entry === undefined) continue;
      if (entry.before !== null) entry.before.after = entry;
      if (entry.after !== null) entry.after.before = entry;
    }
  }

  /**
   * Whether the search is here for the first time. A configuration is the operations that have a position and the state
   * that they led to. The operations without a position, up to the last one that has one, tell which have one: these
   * ran side by side, so they are few.
   */
  #isNew(state: State, last: number, row: number): boolean {
    const left: number[] = [];
    for (let entry = this.#head.after; entry !== null && entry.index < last; entry = entry.after) {
      if (entry.kind === 'call') left.push(entry.index);
    }
    const { keyOf, canFollow } = this.#search.model;
    // Whether it makes no difference if operations that can take place no more did so.
    const used = this.#classes.flatMap(({ members }, place) => {
      const count = this.#used[place] ?? 0;
      const first = members[0]?.operation;
      return count > 0 && first !== undefined && canFollow(state, first) ? [`${place}x${count}`] : [];
    });
    const configuration = `${last}:${left.join()}|${row}|${used.join()}|${keyOf(state)}`;
    if (this.#seen.has(configuration)) return false;
    this.#seen.add(configuration);
    return true;
  }

  // The result

  #order(): Op[] {
    return this.#stack.flatMap(({ options, tried }, depth) => {
      const isTop = depth === this.#stack.length - 1 && this.#head.after !== null;
      return isTop ? [] : (options[tried - 1]?.operation ?? []);
    });
  }

  #remember(frame: Frame<State, Op>): void {
    const depth = this.#stack.length;
    if (depth > (this.#longest?.depth ?? 0)) this.#longest = { depth, order: this.#order(), frame };
  }

  #impossible(first: Frame<State, Op>): Impossible<State, Op> {
    const { order, frame } = this.#longest ?? { order: [], frame: first };
    return { kind: 'impossible', order, state: frame.state, pending: frame.pending };
  }
}
