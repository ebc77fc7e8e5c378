// What replicas hold and tell: equal stores at equal applied indexes, and every event once and in order to watchers.

import { keyText } from '../../../src/base/bytes.ts';
import { type ReplicaId, revision } from '../../../src/model/brands.ts';
import type { RevisionEvents } from '../../../src/model/store.ts';
import type { RunningStore } from '../platform/code.ts';
import { storeDump } from '../platform/durable-log.ts';
import type { HistoryChecker } from './history-checker.ts';
import type { LevelChecker } from './level-checker.ts';
import type { Observed } from './raft-checker.ts';
import { readOf } from '../../../src/api/requests.ts';
import type { KeyValue } from '../../../src/model/store.ts';
import { check } from '../trace.ts';
import { everyKey } from '../workloads/requests.ts';

/** Between restarts and the end only so many states are compared, because a dump reads the whole store. */
const dumpEveryEntries = 16;
/** Only the last batches are compared, because batches do not change. */
const batchesInDump = 24;
const historySliceBytes = 2_000;

type Dump = { readonly id: ReplicaId; readonly dump: string };

export class StateChecker {
  readonly #history: HistoryChecker;
  readonly #levels: LevelChecker;
  /** The dumps by applied index. */
  readonly #dumps = new Map<number, Dump>();
  readonly #wholeDumps = new Map<number, Dump>();
  readonly #dumpedAt = new Map<ReplicaId, number>();
  /** The replicas whose store was altered. */
  readonly #altered = new Set<ReplicaId>();
  #hashesAreJudged = true;
  /** The last revision that the present instance of the replica has published. */
  readonly #told = new Map<ReplicaId, number>();
  /** The newest revision that any instance of the replica has shown to a reader. */
  readonly #shown = new Map<ReplicaId, number>();
  /** What replicas show of a revision: their pairs, and their hash. */
  readonly #views = new Map<number, Dump>();

  constructor(history: HistoryChecker, levels: LevelChecker) {
    this.#history = history;
    this.#levels = levels;
  }

  /** The hash of the replica is wrong until a snapshot has replaced its store. */
  altered(id: ReplicaId): void {
    this.#altered.add(id);
  }

  /** The object of the replica is lost. Under its id another one may begin, with an empty disk. */
  lost(id: ReplicaId): void {
    this.#told.delete(id);
    this.#shown.delete(id);
    this.#dumpedAt.delete(id);
  }

  replaced(id: ReplicaId): void {
    this.#altered.delete(id);
  }

  /**
   * A replica gives others parts of its store. If that store is altered, and the replica leads while no other can
   * contradict it, its hash becomes that of a majority, and hashes are not judged from then on. True: the store is
   * altered.
   */
  copied(id: ReplicaId): boolean {
    if (!this.#altered.has(id)) return false;
    this.#hashesAreJudged = false;
    for (const kept of [this.#altered, this.#dumps, this.#wholeDumps, this.#views]) kept.clear();
    return true;
  }

  get mayAlter(): boolean {
    return this.#hashesAreJudged && this.#altered.size === 0;
  }

  get holdsAltered(): boolean {
    return this.#altered.size > 0;
  }

  /** Everything in the replica's database is durable. */
  durable(replica: Observed): void {
    // While an entry is under way, some rows are those before it, and others those after it.
    if (replica.driver.store.isUnderWay === true) return;
    const applied: number = replica.driver.store.appliedIndex;
    if (applied % dumpEveryEntries !== 0 || this.#dumpedAt.get(replica.id) === applied) return;
    this.#dumpedAt.set(replica.id, applied);
    this.#compareViews(replica);
    // The rows are those of an earlier entry. A checker flushes nothing.
    if (replica.driver.store.hasUnflushed === true) return;
    this.#compare(replica, this.#dumps, applied - batchesInDump);
  }

  /** Compares what readers see, whether it is in the tables or in memory. */
  #compareViews({ id, driver: { store } }: Observed): void {
    if (this.#altered.has(id)) return;
    const seen = store.range(readOf(everyKey, { serializable: true }));
    const pairs = seen.kind === 'answer' ? seen.answer.kvs.map(pairInWords) : [];
    const dump = [`revision ${store.revision}`, `compacted ${store.compactedRevision}`, ...pairs].join('\n');
    const applied: number = store.appliedIndex;
    const known = this.#views.get(applied);
    if (known === undefined) this.#views.set(applied, { id, dump });
    else {
      check(known.dump === dump, 'equal views', () => {
        return `replicas ${known.id} and ${id} show differently at applied index ${applied}:\n${firstDifference(known.dump, dump)}`;
      });
    }
  }

  /** A reader is shown the store of the replica at a revision. */
  shown(id: ReplicaId, revision: number): void {
    const before = this.#shown.get(id) ?? 0;
    check(revision >= before, 'nothing goes back', () => {
      return `replica ${id} shows revision ${revision} after ${before}`;
    });
    this.#shown.set(id, revision);
  }

  /** Checks everything, at the end. */
  compare(replica: Observed): void {
    this.#compare(replica, this.#wholeDumps, 0);
  }

  #compare({ id, driver, database }: Observed, dumps: Map<number, Dump>, batchesFrom: number): void {
    if (this.#altered.has(id)) return;
    const applied: number = driver.store.appliedIndex;
    const hashesFrom = this.#hashesAreJudged ? this.#levels.fellAt(applied) : Number.MAX_SAFE_INTEGER;
    const dump = storeDump(database, { from: batchesFrom, hashesFrom });
    const known = dumps.get(applied);
    if (known === undefined) dumps.set(applied, { id, dump });
    else {
      check(known.dump === dump, 'equal states', () => {
        return `replicas ${known.id} and ${id} differ at applied index ${applied}:\n${firstDifference(known.dump, dump)}`;
      });
    }
  }

  /** Events leave the replica for its watchers. */
  published(id: ReplicaId, events: readonly RevisionEvents[]): void {
    for (const whole of events) {
      const told = this.#told.get(id);
      check(told === undefined || whole.revision === told + 1, 'events in order, without a gap', () => {
        return `replica ${id} publishes revision ${whole.revision} after ${told}`;
      });
      this.#told.set(id, whole.revision);
      this.#history.checkEvents(`replica ${id}`, whole, { previous: true });
    }
  }

  /** History tells the watchers of the replica what came up to this revision. */
  told(id: ReplicaId, store: RunningStore, through: number): void {
    this.#readHistory(id, store, through);
    this.#told.set(id, through);
  }

  /**
   * A new instance begins: its watchers resume from its history, and what it publishes goes on from there. What the one
   * before it had only in memory comes again.
   */
  started(id: ReplicaId, store: RunningStore): void {
    this.#readHistory(id, store, store.revision);
    this.#told.set(id, store.revision);
  }

  #readHistory(id: ReplicaId, store: RunningStore, through: number): void {
    for (let next = (this.#told.get(id) ?? 1) + 1; next <= through;) {
      const piece = store.history({ from: revision(next), bytesMax: historySliceBytes, ranges: null });
      if (piece.kind === 'compacted') break;
      for (const whole of piece.revisions) {
        if (whole.revision >= next && whole.revision <= through)
          this.#history.checkEvents(`history of replica ${id}`, whole, { previous: false });
      }
      next = piece.through + 1;
    }
  }
}

function pairInWords({ key, value, modRevision, createRevision, version, lease }: KeyValue): string {
  return `${keyText(key)} ${createRevision} ${modRevision} ${version} ${lease} ${keyText(value)}`;
}

function firstDifference(left: string, right: string): string {
  const others = right.split('\n');
  const lines = left.split('\n');
  const place = lines.findIndex((line, index) => line !== others[index]);
  return `${lines[place] ?? '(nothing)'}\n${others[place] ?? '(nothing)'}`;
}
