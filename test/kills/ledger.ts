// What clients know of a store over its kills: the state of each key that was acknowledged or seen, the write of which
// nobody knows what became, and the newest revision that anybody saw. Each key has one writer, which has one write
// under way, so a key that is read again is as it was known, or as that write makes it.

/** `value` null: the key is not there. `modRevision`: 0 where that is not known. */
export type KeyState = { readonly value: string | null; readonly modRevision: number; readonly version: number };

/** A pair as it was read. */
export type Seen = {
  readonly key: string;
  readonly value: string;
  readonly modRevision: number;
  readonly version: number;
};

/** `value` null: a delete. */
export type Change = { readonly key: string; readonly value: string | null; readonly revision: number };

type Known = { state: KeyState; pending: { readonly value: string | null } | null };

const absent: KeyState = { value: null, modRevision: 0, version: 0 };
const shownMax = 40;

export class KillLedger {
  readonly #keys = new Map<string, Known>();
  /** What was acknowledged at each revision, for the watches that have not come so far. */
  readonly #acknowledged = new Map<number, { readonly key: string; readonly value: string | null }>();
  readonly #violations: string[] = [];
  #shown = 0;
  acknowledgedCount = 0;

  get violations(): readonly string[] {
    return this.#violations;
  }

  /** The newest revision that anybody was told of. */
  get shown(): number {
    return this.#shown;
  }

  stateOf(key: string): KeyState {
    return this.#keys.get(key)?.state ?? absent;
  }

  fail(what: string): void {
    if (this.#violations.length < shownMax) this.#violations.push(what);
  }

  saw(revision: number): void {
    this.#shown = Math.max(this.#shown, revision);
  }

  // Writes

  /** False: it is not known what became of the write before. */
  begins(key: string, value: string | null): boolean {
    const known = this.#keys.get(key) ?? { state: absent, pending: null };
    if (known.pending !== null) return false;
    known.pending = { value };
    this.#keys.set(key, known);
    return true;
  }

  acknowledged(key: string, revision: number): void {
    const known = this.#keys.get(key);
    if (known?.pending == null) throw new Error(`nobody writes ${key}`);
    if (revision <= known.state.modRevision) {
      this.fail(`the write of ${key} is acknowledged at ${revision}, not after ${known.state.modRevision}`);
    }
    const { value } = known.pending;
    this.#settle(known, value, revision);
    this.#acknowledged.set(revision, { key, value });
    this.acknowledgedCount++;
    this.saw(revision);
  }

  // What is read after a kill

  /** All keys, as one read at `revision` shows them. `who`: how it was read. */
  read(who: string, revision: number, pairs: readonly Seen[]): void {
    if (revision < this.#shown) this.fail(`${who} shows revision ${revision}; ${this.#shown} was shown before`);
    const seen = new Map(pairs.map((pair) => [pair.key, pair]));
    for (const key of seen.keys()) if (!this.#keys.has(key)) this.fail(`${who} shows ${key}, which nobody wrote`);
    for (const [key, known] of this.#keys) this.#compare(who, key, known, seen.get(key));
    this.saw(revision);
  }

  /** All of a read must be as it is known, and what became of a write under way is known from then on. */
  #compare(who: string, key: string, known: Known, seen: Seen | undefined): void {
    const { state, pending } = known;
    const value = seen?.value ?? null;
    const isSame =
      value === state.value &&
      (seen === undefined || (seen.modRevision === state.modRevision && seen.version === state.version));
    if (isSame) {
      known.pending = null;
      return;
    }
    const isDone =
      pending !== null &&
      value === pending.value &&
      (seen === undefined || (seen.modRevision > state.modRevision && seen.version === state.version + 1));
    if (isDone) return this.#settle(known, value, seen?.modRevision ?? state.modRevision);
    const words = seen === undefined ? 'nothing' : JSON.stringify(seen);
    this.fail(
      `${who} shows of ${key} ${words}; known is ${JSON.stringify(state)}, under way ${JSON.stringify(pending)}`,
    );
  }

  #settle(known: Known, value: string | null, modRevision: number): void {
    known.state = { value, modRevision, version: value === null ? 0 : known.state.version + 1 };
    known.pending = null;
  }

  // Watches

  /** A watch is told of one change, after it was told of all up to the revision before `next`. */
  told(who: string, next: number, change: Change): void {
    const { key, value, revision } = change;
    if (revision !== next) this.fail(`${who} is told of revision ${revision} and not of ${next}`);
    const known = this.#acknowledged.get(revision);
    if (known !== undefined && (known.key !== key || known.value !== value)) {
      this.fail(`${who} is told of ${key} at ${revision}, where the write of ${known.key} was acknowledged`);
    }
    this.saw(revision);
  }

  /** All watches were told up to here. */
  forget(through: number): void {
    for (const revision of this.#acknowledged.keys()) if (revision <= through) this.#acknowledged.delete(revision);
  }
}
