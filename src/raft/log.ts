// The log: a tail in memory over the entries on disk, the three marks that move along it (persisted, committed, handed
// out to be applied), and the configurations in it. It knows nothing of roles or messages. Everything that the hot path
// asks for is in memory; the disk is read only for followers far behind.

import { assert } from '../base/assert.ts';
import { logIndex, type LogIndex, type Term } from '../model/brands.ts';
import { logCacheBytesMax } from '../limits.ts';
import type { Configuration } from './configuration.ts';
import { Configurations } from './configurations.ts';
import type { Entry, HardState, LogReader } from './types.ts';

/** The bytes that an entry takes in memory beside its data, which bound a tail of empty entries. */
const entryOverheadBytes = 64;
const noEntries: readonly Entry[] = [];

/** `bytes`: of data. A first entry that is larger comes alone. */
export type PartBounds = { readonly bytes: number; readonly entries: number };
type Range = { readonly first: LogIndex; readonly last: LogIndex; readonly bytesMax: number };
export type Position = { readonly index: LogIndex; readonly term: Term };

export class RaftLog {
  readonly #reader: LogReader;
  readonly #configurations: Configurations;
  /**
   * The newest entries, without a gap up to the last one: all that are not persisted, and older ones as room allows.
   */
  #tail: Entry[] = [];
  #tailBytes = 0;
  /** The entry right before the tail, so that its term is known without a look at the disk. */
  #beforeTail: Position;
  #last: Position;
  #persisted: LogIndex;
  /** The index up to which entries were handed out to be persisted. */
  #taken: LogIndex;
  #commit: LogIndex;
  /** The index up to which committed entries were handed out to be applied. */
  #applied: LogIndex;
  /** True: the state machine cannot take entries, and none are handed out. */
  #holdsCommitted = false;

  constructor(reader: LogReader, founding: Configuration, hardState: HardState, applied: LogIndex) {
    const base = reader.base();
    const last = reader.lastIndex();
    const commit = logIndex(Math.max(hardState.commit, applied));
    assert(base.index <= applied, 'the log was truncated beyond what is applied');
    assert(commit <= last, 'the persisted log is shorter than what it committed');
    this.#reader = reader;
    this.#last = last === base.index ? base : { index: last, term: reader.term(last) };
    this.#beforeTail = this.#last;
    this.#persisted = last;
    this.#taken = last;
    this.#commit = commit;
    this.#applied = applied;
    this.#configurations = new Configurations(founding, reader.configurations(), base.index);
  }

  get configurations(): Omit<Configurations, 'append' | 'truncate' | 'discard'> {
    return this.#configurations;
  }

  get lastIndex(): LogIndex {
    return this.#last.index;
  }

  get lastTerm(): Term {
    return this.#last.term;
  }

  get persisted(): LogIndex {
    return this.#persisted;
  }

  get commit(): LogIndex {
    return this.#commit;
  }

  get applied(): LogIndex {
    return this.#applied;
  }

  get hasUntaken(): boolean {
    return this.#taken < this.#last.index;
  }

  get hasUnapplied(): boolean {
    return !this.#holdsCommitted && this.#applied < this.#commit;
  }

  /** The entry before the first one that is kept. */
  get baseIndex(): LogIndex {
    return this.#reader.base().index;
  }

  /** The term of an index from the base to the last one. */
  term(index: LogIndex): Term {
    assert(index <= this.#last.index, 'term of an entry beyond the log');
    if (index === this.#last.index) return this.#last.term;
    if (index === this.#beforeTail.index) return this.#beforeTail.term;
    if (index > this.#beforeTail.index) return this.#held(index).term;
    return this.#reader.term(index);
  }

  /** The log-matching check of an append (§3.5). */
  matches(index: LogIndex, term: Term): boolean {
    return index <= this.#last.index && this.term(index) === term;
  }

  /** Whether a replica whose log ends so may lead this one: the election restriction (§3.6.1). */
  isUpToDate(lastIndex: LogIndex, lastTerm: Term): boolean {
    return lastTerm > this.#last.term || (lastTerm === this.#last.term && lastIndex >= this.#last.index);
  }

  /**
   * The highest entry up to `index` whose term is at most `term`: there this log could agree with another one that has
   * (index, term). Terms never fall along a log, so this is a binary search.
   */
  fit(index: LogIndex, term: Term): Position {
    let low: number = this.baseIndex;
    let high: number = Math.max(low, Math.min(index, this.#last.index));
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.term(logIndex(middle)) <= term) low = middle;
      else high = middle - 1;
    }
    return { index: logIndex(low), term: this.term(logIndex(low)) };
  }

  append(entry: Entry): void {
    assert(entry.index === this.#last.index + 1, 'an entry does not follow the log');
    assert(entry.term >= this.#last.term, 'terms fall along the log');
    this.#tail.push(entry);
    this.#tailBytes += costBytes(entry);
    this.#last = entry;
    if (entry.kind === 'membership') this.#configurations.append(entry.index, entry.data);
  }

  /**
   * Appends entries of a leader, whose predecessor matches. It keeps the entries that are there already, and replaces
   * the log from the first conflict on.
   */
  accept(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.index <= this.#last.index) {
        // Committed entries below the tail are not looked up on disk, because leaders never differ there.
        if (entry.index <= this.#commit && entry.index <= this.#beforeTail.index) continue;
        if (this.term(entry.index) === entry.term) continue;
        this.#truncate(entry.index);
      }
      this.append(entry);
    }
  }

  /** The entries from `first` on, at least one if there is one. */
  slice(first: LogIndex, bounds: PartBounds): readonly Entry[] {
    return this.#range(partOf(first, this.#last.index, bounds));
  }

  commitTo(index: LogIndex): void {
    if (index <= this.#commit) return;
    assert(index <= this.#last.index, 'commit beyond the log');
    this.#commit = index;
  }

  /** The entries that are new since the last call, to be persisted. */
  takeUnpersisted(): readonly Entry[] {
    if (!this.hasUntaken) return noEntries;
    const entries = this.#tail.slice(this.#taken - this.#beforeTail.index);
    this.#taken = this.#last.index;
    return entries;
  }

  /** The entries that were taken are on disk. */
  markPersisted(): void {
    this.#persisted = this.#taken;
    if (this.#tailBytes > logCacheBytesMax) this.#evict();
  }

  /** The committed entries that are not handed out yet, a part at a time. */
  takeCommitted(bounds: PartBounds): readonly Entry[] {
    if (!this.hasUnapplied) return noEntries;
    const entries = this.#range(partOf(logIndex(this.#applied + 1), this.#commit, bounds));
    this.#applied = logIndex(this.#applied + entries.length);
    assert(this.#applied <= this.#commit && this.#commit <= this.#last.index, 'applied <= commit <= last');
    return entries;
  }

  /** From here on committed entries are not handed out. */
  holdCommitted(): void {
    this.#holdsCommitted = true;
  }

  /** The entries up to the base are deleted from the disk. They may stay in memory. */
  discarded(): void {
    this.#configurations.discard(this.baseIndex);
  }

  /**
   * Whether this log has the entry at `position`. If so, the entries after it may have been counted, and stay when a
   * snapshot takes the place of those before (§5.1).
   */
  holds({ index, term }: Position): boolean {
    return index >= this.baseIndex && this.matches(index, term);
  }

  #truncate(from: LogIndex): void {
    assert(from > this.#commit, 'a committed entry is never overwritten');
    this.#configurations.truncate(from);
    const previous = logIndex(from - 1);
    const last: Position = { index: previous, term: this.term(previous) };
    if (previous > this.#beforeTail.index) {
      for (const dropped of this.#tail.splice(previous - this.#beforeTail.index)) this.#tailBytes -= costBytes(dropped);
    } else {
      this.#tail = [];
      this.#tailBytes = 0;
      this.#beforeTail = last;
    }
    this.#last = last;
    this.#persisted = logIndex(Math.min(this.#persisted, previous));
    this.#taken = logIndex(Math.min(this.#taken, previous));
  }

  /** The tail is cut down to three quarters at once, so that moving the rest up costs little for each entry. */
  #evict(): void {
    const goal = (logCacheBytesMax * 3) / 4;
    let count = 0;
    for (const entry of this.#tail) {
      if (this.#tailBytes <= goal || entry.index > this.#persisted) break;
      this.#tailBytes -= costBytes(entry);
      this.#beforeTail = { index: entry.index, term: entry.term };
      count += 1;
    }
    this.#tail.splice(0, count);
  }

  #held(index: LogIndex): Entry {
    const entry = this.#tail[index - this.#beforeTail.index - 1];
    assert(entry !== undefined && entry.index === index, 'the tail has a hole');
    return entry;
  }

  #range(wanted: Range): readonly Entry[] {
    const { first, last, bytesMax } = wanted;
    if (first > last) return noEntries;
    const before = this.#beforeTail.index;
    if (first > before) return this.#tailRange(wanted);
    const entries = this.#reader.entries(first, logIndex(Math.min(last, before)), bytesMax);
    assert(entries[0]?.index === first, 'the log on disk has a hole');
    if (entries.at(-1)?.index !== before || last === before) return entries;
    let left = bytesMax;
    for (const entry of entries) left -= entry.data.byteLength;
    if (left <= 0) return entries;
    return [...entries, ...this.#tailRange({ first: logIndex(before + 1), last, bytesMax: left })];
  }

  #tailRange({ first, last, bytesMax }: Range): readonly Entry[] {
    const start = first - this.#beforeTail.index - 1;
    const limit = last - this.#beforeTail.index;
    let bytes = 0;
    let end = start;
    while (end < limit) {
      bytes += this.#tail[end]?.data.byteLength ?? 0;
      if (bytes > bytesMax && end > start) break;
      end += 1;
    }
    return this.#tail.slice(start, end);
  }
}

function costBytes(entry: Entry): number {
  return entry.data.byteLength + entryOverheadBytes;
}

function partOf(first: LogIndex, last: LogIndex, { bytes, entries }: PartBounds): Range {
  return { first, last: logIndex(Math.min(last, first + entries - 1)), bytesMax: bytes };
}
