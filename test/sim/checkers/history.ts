// What clients did and were told, in the form in which every checker here, and the export, reads it. It knows nothing
// of the system that was asked. Every call of a client is a transaction: conditions, writes, and reads of what is there
// then.

export type Write =
  | { readonly kind: 'put'; readonly key: string; readonly value: string }
  | { readonly kind: 'delete'; readonly key: string };

/** The condition holds if the key has this mod revision; 0: if there is no such key. */
export type Condition = { readonly key: string; readonly mod: number };

export type Input = {
  /** If all conditions hold, the writes are done. */
  readonly when: readonly Condition[];
  readonly writes: readonly Write[];
  /** The keys that are read after the writes, also if the writes are not done. */
  readonly reads: readonly string[];
  /** True: a read that may show any state that once was the newest. It has no writes and no conditions. */
  readonly serializable: boolean;
};

/** The newest version of a key at some revision. */
export type Pair = {
  readonly key: string;
  readonly value: string;
  readonly create: number;
  readonly mod: number;
  readonly version: number;
  /** Not every history knows of leases. */
  readonly lease?: string;
};

/** As much of a pair as an answer told. Null: the answer did not tell this. */
export type SeenPair = {
  readonly mod: number;
  readonly value: string | null;
  readonly create: number | null;
  readonly version: number | null;
};

export type Answer = {
  /** Whether all conditions held. */
  readonly held: boolean;
  /**
   * The revision that the writes made if they changed something, else the store's revision when the call was answered.
   */
  readonly revision: number;
  /** How many keys the deletes deleted. Null: the answer does not tell. */
  readonly deleted: number | null;
  /** One pair for each of the reads. Null: there is no such key. An empty list: the answer tells no pair. */
  readonly pairs: readonly (SeenPair | null)[];
};

export type Outcome =
  | { readonly kind: 'answered'; readonly return: number; readonly answer: Answer }
  /** The call was answered, and the answer says that nothing was done, or will be. */
  | { readonly kind: 'refused'; readonly return: number; readonly why: string }
  /** The outcome is unknown: the call was done, or will be at any later time, or never. */
  | { readonly kind: 'lost'; readonly why: string };

export type Operation = {
  /** The operations of a client come one after the other. A client that lost an answer goes on under another number. */
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

/** A violation that a checker found: the rule that was broken, how, and the operations that show it. */
export type Violation = { readonly rule: string; readonly what: string; readonly operations: readonly Operation[] };

const shownCharacters = 40;

/** An operation in one line, for the reader of a failure. */
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

/** A value as a failure shows it. */
export function short(value: string): string {
  return value.length <= shownCharacters ? value : `${value.slice(0, shownCharacters)}…`;
}
