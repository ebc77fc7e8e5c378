// What was written to single keys since the last flush, in the order of keys: for each key what the tables say of it,
// and its versions since. It is memory alone, and knows no SQL: `flush.ts` writes it to the tables, and `versions.ts`
// reads both.

import { assert } from '../../base/assert.ts';
import { keyText } from '../../base/bytes.ts';
import { type LeaseId, noLease, type Revision } from '../../model/brands.ts';
import type { KeyValue } from '../../model/store.ts';
import type { KeySpan } from '../../model/key-range.ts';
import { inlineValueBytesMax } from '../schema.ts';

/** `kv` null: the key was deleted at that revision. */
export type OverlayVersion = { readonly mod: Revision; readonly kv: KeyValue | null };

export type OverlaidKey = {
  readonly key: Uint8Array;
  readonly text: string;
  /** What `head` has of the key; null: nothing. */
  readonly inTables: KeyValue | null;
  /** False: the value is not here, because it is large or was not read. */
  readonly hasValue: boolean;
  /**
   * The oldest first, at least one. Two are of one revision if a transaction deleted the key and put it, or put it and
   * deleted it.
   */
  readonly versions: readonly OverlayVersion[];
};

type Entry = OverlaidKey & { readonly versions: OverlayVersion[] };

/** What an entry and a version take beside the bytes of key and value. */
const entryBytes = 240;
const versionBytes = 160;

export class Overlay {
  readonly #entries = new Map<string, Entry>();
  /** The texts of the keys, which compare as the keys do. */
  #order: string[] = [];
  #bytes = 0;
  #versions = 0;
  /** The revision of the first version. */
  #first: number | null = null;
  /** The keys whose lease is another one than in the tables. */
  readonly #moved = new Set<string>();
  /** The entries that were written since `undoable` began; null: nothing can be undone. */
  #journal: Entry[] | null = null;

  /** Of memory, about. */
  get bytes(): number {
    return this.#bytes;
  }

  get versions(): number {
    return this.#versions;
  }

  get isEmpty(): boolean {
    return this.#versions === 0;
  }

  /** Whether the tables alone have the keys as they are at that revision. */
  isAfter(revision: number): boolean {
    return this.#first === null || this.#first > revision;
  }

  /** Null: the tables know. */
  find(key: Uint8Array): OverlaidKey | null {
    return this.#versions === 0 ? null : this.findText(keyText(key));
  }

  findText(text: string): OverlaidKey | null {
    return this.#entries.get(text) ?? null;
  }

  /**
   * `before`: the pair before the write, which its writer has read: here, or in the tables. `isUnread`: without its
   * value.
   */
  write(key: Uint8Array, { mod, kv }: OverlayVersion, before: KeyValue | null, isUnread = false): void {
    const text = keyText(key);
    let entry = this.#entries.get(text);
    if (entry === undefined) {
      const hasValue = before !== null && !isUnread && before.value.byteLength <= inlineValueBytesMax;
      const inTables = before === null || hasValue ? before : { ...before, value: noBytes };
      entry = { text, key: before?.key ?? ownBytes(key), inTables, hasValue, versions: [] };
      this.#entries.set(text, entry);
      this.#order.splice(this.#placeOf(text), 0, text);
      this.#bytes += bytesOf(entry);
    }
    const last = entry.versions.at(-1);
    assert(last === undefined || last.mod <= mod, 'versions come in the order of their revisions');
    entry.versions.push({ mod, kv: kv === null ? null : { ...kv, key: entry.key, value: ownBytes(kv.value) } });
    this.#first ??= mod;
    this.#versions++;
    this.#bytes += versionBytes + (kv?.value.byteLength ?? 0);
    this.#noteLease(entry);
    this.#journal?.push(entry);
  }

  /** Runs `body`. If it throws, what it wrote is undone, and the throw goes on. */
  undoable<Result>(body: () => Result): Result {
    assert(this.#journal === null, 'one transaction runs at a time');
    this.#journal = [];
    try {
      return body();
    } catch (error) {
      for (const entry of this.#journal.toReversed()) this.#takeBack(entry);
      throw error;
    } finally {
      this.#journal = null;
    }
  }

  /** Takes back all that was written after the revision. */
  takeBackAfter(revision: Revision): void {
    for (const entry of this.#entries.values()) {
      while ((entry.versions.at(-1)?.mod ?? 0) > revision) this.#takeBack(entry);
    }
  }

  /** The keys whose lease is another one than in the tables, in their order. */
  movedKeys(): readonly OverlaidKey[] {
    if (this.#moved.size === 0) return [];
    return [...this.#moved].sort().flatMap((text) => this.#entries.get(text) ?? []);
  }

  get someMoved(): boolean {
    return this.#moved.size > 0;
  }

  /** How many keys of the span are here. */
  countWithin(span: KeySpan): number {
    if (span.kind === 'single') return this.find(span.key) === null ? 0 : 1;
    const [first, end] = this.#places(span);
    return end - first;
  }

  /** Those of the span, in the order of keys, read as they are asked for: nothing may be written meanwhile. */
  *within(
    span: KeySpan,
    { descending = false }: { readonly descending?: boolean } = {},
  ): Generator<OverlaidKey, void, void> {
    if (span.kind === 'single') {
      const entry = this.find(span.key);
      if (entry !== null) yield entry;
      return;
    }
    const [first, end] = this.#places(span);
    for (let nth = 0; nth < end - first; nth++) {
      const entry = this.#entries.get(this.#order[descending ? end - 1 - nth : first + nth] ?? '');
      assert(entry !== undefined, 'a key in the order has its entry');
      yield entry;
    }
  }

  all(): Iterable<OverlaidKey> {
    return this.within({ kind: 'open', from: noBytes });
  }

  /** It is all in the tables. */
  clear(): void {
    assert(this.#journal === null, 'nothing is flushed within a transaction');
    this.#entries.clear();
    this.#order = [];
    this.#moved.clear();
    this.#bytes = 0;
    this.#versions = 0;
    this.#first = null;
  }

  #takeBack(entry: Entry): void {
    const last = entry.versions.pop();
    assert(last !== undefined, 'what was written is there');
    this.#versions--;
    this.#bytes -= versionBytes + (last.kv?.value.byteLength ?? 0);
    if (this.#versions === 0) this.#first = null;
    this.#noteLease(entry);
    if (entry.versions.length > 0) return;
    this.#entries.delete(entry.text);
    this.#order.splice(this.#placeOf(entry.text), 1);
    this.#bytes -= bytesOf(entry);
  }

  #noteLease(entry: Entry): void {
    const isMoved = entry.versions.length > 0 && leaseNow(entry) !== (entry.inTables?.lease ?? noLease);
    if (isMoved) this.#moved.add(entry.text);
    else this.#moved.delete(entry.text);
  }

  #places(span: Exclude<KeySpan, { readonly kind: 'single' }>): readonly [number, number] {
    const first = this.#placeOf(keyText(span.from));
    const end = span.kind === 'open' ? this.#order.length : Math.max(first, this.#placeOf(keyText(span.to)));
    return [first, end];
  }

  /** The first place whose key is not before this one. */
  #placeOf(text: string): number {
    let [low, high] = [0, this.#order.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#order[middle] ?? '') < text) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const noBytes = new Uint8Array(0);

function bytesOf({ key, inTables }: Entry): number {
  return entryBytes + key.byteLength + (inTables?.value.byteLength ?? 0);
}

/** A view of a message or an entry would keep all of it in memory, which nobody counts. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
}

/** The newest pair; null: the key is deleted. */
export function pairNow({ versions }: OverlaidKey): KeyValue | null {
  return versions.at(-1)?.kv ?? null;
}

export function leaseNow(overlaid: OverlaidKey): LeaseId {
  return pairNow(overlaid)?.lease ?? noLease;
}

/** The newest version that is not after a revision; null: the tables have it. */
export function versionAsOf({ versions }: OverlaidKey, asOf: number): OverlayVersion | null {
  return versions.findLast(({ mod }) => mod <= asOf) ?? null;
}
