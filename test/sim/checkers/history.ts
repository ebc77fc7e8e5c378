// What clients did and what they were told: the form in which every checker here, and the export, reads it. Knows
// nothing of the system that was asked; every call of a client is a transaction: conditions, writes, reads of what is
// there then.

export type Write =
  | { readonly kind: 'put'; readonly key: string; readonly value: string }
  | { readonly kind: 'delete'; readonly key: string };

/** The key's mod revision is this one; 0: there is no such key. */
export type Condition = { readonly key: string; readonly mod: number };

export type Input = {
  /** Where all of them hold, the writes are done. */
  readonly when: readonly Condition[];
  readonly writes: readonly Write[];
  /** What is read, after the writes; also where these are not done. */
  readonly reads: readonly string[];
  /** A read that may show any state that once was the newest. It has no writes and no conditions. */
  readonly serializable: boolean;
};

/** A key's newest version at some revision. */
export type Pair = {
  readonly key: string;
  readonly value: string;
  readonly create: number;
  readonly mod: number;
  readonly version: number;
};

/** As much of a pair as an answer told: null is what it did not. */
export type SeenPair = {
  readonly mod: number;
  readonly value: string | null;
  readonly create: number | null;
  readonly version: number | null;
};

export type Answer = {
  /** All conditions held. */
  readonly held: boolean;
  /** The store's: that of the writes where they changed something, else the one at which the call was answered. */
  readonly revision: number;
  /** How many keys the deletes ended; null: the answer does not tell. */
  readonly deleted: number | null;
  /** One for each of the reads, null where there is no such key. Empty: the answer tells of no pair. */
  readonly pairs: readonly (SeenPair | null)[];
};

export type Outcome =
  | { readonly kind: 'answered'; readonly return: number; readonly answer: Answer }
  /** Answered, and the answer says that nothing was done, nor will be. */
  | { readonly kind: 'refused'; readonly return: number; readonly why: string }
  /** Nobody knows: it was done, or will be at any later time, or never. */
  | { readonly kind: 'lost'; readonly why: string };

export type Operation = {
  /** Its operations come one after the other. Who lost an answer goes on under another number. */
  readonly client: number;
  /** Times are of one clock that never goes back, in any unit. */
  readonly call: number;
  readonly input: Input;
  readonly outcome: Outcome;
};

export type Answered = Operation & { readonly outcome: Extract<Outcome, { readonly kind: 'answered' }> };

export function isAnswered(operation: Operation): operation is Answered {
  return operation.outcome.kind === 'answered';
}

/** What a checker found: the rule that was broken, how, and the operations that show it. */
export type Violation = { readonly rule: string; readonly what: string; readonly operations: readonly Operation[] };

const shownCharacters = 40;

/** In one line, for whoever reads a failure. */
export function inWords({ client, call, input, outcome }: Operation): string {
  const conditions = input.when.map(({ key, mod }) => (mod === 0 ? `${key} is absent` : `${key} is at ${mod}`));
  const writes = input.writes.map((write) =>
    write.kind === 'put' ? `put ${write.key}=${short(write.value)}` : `delete ${write.key}`,
  );
  const reads =
    input.reads.length === 0 ? [] : [`${input.serializable ? 'serializable ' : ''}get ${input.reads.join(' ')}`];
  const asked = [conditions.length === 0 ? '' : `if ${conditions.join(', ')}: `, [...writes, ...reads].join(', ')].join(
    '',
  );
  const until = outcome.kind === 'lost' ? '…' : outcome.return;
  return `client ${client} [${call}, ${until}] ${asked} -> ${outcomeInWords(input, outcome)}`;
}

function outcomeInWords({ when, reads }: Input, outcome: Outcome): string {
  if (outcome.kind !== 'answered') return `${outcome.kind}: ${outcome.why}`;
  const { held, revision, deleted, pairs } = outcome.answer;
  const told = pairs.map((pair, place) => `${reads[place]} ${pair === null ? 'absent' : seenInWords(pair)}`);
  const facts = [
    `revision ${revision}`,
    ...(when.length === 0 ? [] : [held ? 'held' : 'not held']),
    ...(deleted === null ? [] : [`deleted ${deleted}`]),
    ...told,
  ];
  return facts.join(', ');
}

function seenInWords({ value, mod, version }: SeenPair): string {
  return [`at ${mod}`, version === null ? '' : ` v${version}`, value === null ? '' : `=${short(value)}`].join('');
}

/** A value as it is shown. */
export function short(value: string): string {
  return value.length <= shownCharacters ? value : `${value.slice(0, shownCharacters)}…`;
}
