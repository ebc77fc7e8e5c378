// What keeps a group well beside the log itself: its level, planned changes of its members, the length of the log,
// snapshots for replicas that lack what was truncated, and replicas that have diverged. The driver calls it in its
// turns. What it has to say to other replicas it hands back as messages.

import { unreachable } from '../base/assert.ts';
import type { LogIndex, ReplicaId } from '../model/brands.ts';
import { electionTimeoutTicks, logBytesKept, logBytesMax } from '../limits.ts';
import { groupLevelMin } from '../model/levels.ts';
import type { Store } from '../mvcc/store.ts';
import { type Configuration, decodeConfiguration } from '../raft/configuration.ts';
import type { Raft } from '../raft/raft.ts';
import type { SqlPort } from '../base/sql-port.ts';
import { DivergenceRecord } from './divergence-record.ts';
import type { PeerMessage } from './envelope.ts';
import { HashComparison } from './hash-comparison.ts';
import type { LogTable } from './log-table.ts';
import { firstHeld, isPatient, type LogBounds, truncationPoint } from './log-truncation.ts';
import { nextStep } from './membership-plan.ts';
import type { PeerReport } from './peer-report.ts';
import type { SnapshotMessage } from './snapshot-messages.ts';
import { SnapshotReceiver } from './snapshot-receiver.ts';
import { SnapshotSender } from './snapshot-sender.ts';

export type RestartReason = 'a snapshot has taken the place of the store' | 'the store differs from that of the group';

export type UpkeepOptions = {
  readonly raft: Raft;
  readonly log: LogTable;
  readonly store: Store;
  readonly sql: SqlPort;
  /** The highest level that this code can apply. */
  readonly supports: number;
  readonly bounds: LogBounds;
  readonly send: (message: PeerMessage) => void;
  /** Writes the rows of all that was applied. */
  readonly flush: () => void;
  readonly proposeLevel: (level: number) => void;
  /**
   * The store on disk is another one now, or is known to be wrong, so this instance must end, and the next one begins
   * with what is on disk. `configuration`: what the group was after the last entry that a snapshot covers. Null: the
   * log says it.
   */
  readonly restart: (reason: RestartReason, configuration: Configuration | null) => void;
};

/** The time between two tries to hand the leadership over: three times as long as each of them may take. */
const transferSpacingTicks = 3 * electionTimeoutTicks;

type Part = Extract<SnapshotMessage, { readonly kind: 'snapshotPart' }>;

export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #sender: SnapshotSender;
  readonly #receiver: SnapshotReceiver;
  readonly #comparison = new HashComparison();
  readonly #divergence: DivergenceRecord;
  readonly #reports = new Map<ReplicaId, PeerReport>();
  /** Replicas whose storage is gone. They will never apply anything in this group. */
  readonly #absent = new Set<ReplicaId>();
  #ticks = 0;
  #nextTransferTick = 0;

  constructor(options: UpkeepOptions) {
    const { raft, log, sql, store } = options;
    this.#options = options;
    const places = {
      base: () => log.base(),
      lastIndex: () => raft.lastIndex,
      termAt: (index: LogIndex) => raft.termAt(index),
      configurationAt: (index: LogIndex) => raft.configurationAt(index),
    };
    this.#sender = new SnapshotSender({
      sql,
      store,
      log: places,
      bounds: options.bounds,
      storeBytes: () => this.storeBytes,
    });
    this.#receiver = new SnapshotReceiver(raft.id, sql);
    this.#divergence = new DivergenceRecord(sql);
    if (this.#divergence.isRebuilding) raft.suspend();
    this.applied();
  }

  /** True: nothing of the store may be shown. */
  get isRebuilding(): boolean {
    return this.#divergence.isRebuilding;
  }

  /** True: a snapshot took the place of a store that may have shown more, and nothing was confirmed since. */
  get isReplaced(): boolean {
    return this.#divergence.isReplaced;
  }

  /** The store shows all that this replica ever showed. */
  confirmed(): void {
    this.#divergence.confirmed();
  }

  /**
   * True: the log takes no more entries. While the store is made anew no entry can be applied, so none can be
   * truncated. The log keeps those that it has, because this replica has acknowledged them. The leader goes on with the
   * others, or waits until the snapshot is here.
   */
  get isLogFull(): boolean {
    const { log, bounds } = this.#options;
    return this.isRebuilding && log.size.bytes > bounds.logHeldBytesMax(0);
  }

  /** True: the clock is needed, because a change of the members is planned, or a replica is being rebuilt. */
  get isBusy(): boolean {
    const { raft } = this.#options;
    return (
      this.#sender.isActive ||
      this.holdsOtherStore ||
      this.isRebuilding ||
      raft.configuration.members.some(({ plan }) => plan !== null)
    );
  }

  /** True: a snapshot is being received, or the rest of one, or of the store before it, is not deleted yet. */
  get holdsOtherStore(): boolean {
    return this.#receiver.isActive || this.#receiver.isClearing;
  }

  /** The bytes of the database without the log, and of what is not flushed. */
  get storeBytes(): number {
    const { sql, log, store } = this.#options;
    return sql.databaseBytes() + store.unflushed.bytes - log.diskBytes;
  }

  get report(): PeerReport {
    const { store, supports } = this.#options;
    const state = this.isRebuilding ? 'rebuilding' : 'serving';
    return { supports, state, hash: store.runningHash, divergedAt: this.#divergence.at };
  }

  /** Null: the replica has not said anything yet, or its code is of level 1. */
  reportOf(peer: ReplicaId): PeerReport | null {
    return this.#reports.get(peer) ?? null;
  }

  /** Another replica has sent something. Null: its code is of level 1. */
  heard(peer: ReplicaId, report: PeerReport | null): void {
    this.#absent.delete(peer);
    if (report === null) return void this.#reports.delete(peer);
    const before = this.#reports.get(peer);
    this.#reports.set(peer, report);
    if (before?.state === 'rebuilding' && report.state === 'serving') this.#comparison.forget(peer);
    if (this.#options.raft.role !== 'leader' || report.hash === null || report.state !== 'serving') return;
    this.#comparison.heard(peer, report.hash);
    this.#judge();
  }

  /** The object of that replica does not exist. */
  absent(peer: ReplicaId): void {
    this.#absent.add(peer);
  }

  /** An entry was applied to the store. */
  applied(): void {
    const hash = this.#options.store.runningHash;
    if (hash !== null) this.#comparison.applied(hash);
  }

  /** The leader has truncated what this replica lacks. */
  needSnapshot(from: ReplicaId): void {
    this.#ask(this.#receiver.begin(from));
  }

  receive(message: SnapshotMessage): void {
    switch (message.kind) {
      case 'snapshotAsk':
        if (this.#maySend(message)) this.#answer(message);
        return;
      case 'snapshotPart':
        return this.#receivePart(message);
      case 'snapshotGone':
        return this.#ask(this.#receiver.gone(message));
      case 'diverged':
        if (this.#comparison.held(message)) this.#selfDiverged(message.index);
        return;
      default:
        return unreachable(message);
    }
  }

  /**
   * Nobody is to have a copy of a store that is wrong. Nor is a replica whose code does not know the store's level,
   * because it could not open the copy. While an entry is being applied in steps, a snapshot under way goes on, and
   * none begins.
   */
  #maySend({ from, name }: Extract<SnapshotMessage, { readonly kind: 'snapshotAsk' }>): boolean {
    const { store } = this.#options;
    const supports = this.#reports.get(from)?.supports ?? groupLevelMin;
    return !this.isRebuilding && supports >= store.level && (name !== null || !store.isUnderWay);
  }

  /** A snapshot is made of rows. */
  #answer(ask: Extract<SnapshotMessage, { readonly kind: 'snapshotAsk' }>): void {
    const { store, flush, send } = this.#options;
    if (ask.name === null || ask.name.index > store.persistedIndex) flush();
    send(this.#sender.answer(ask));
  }

  tick(): void {
    const { raft } = this.#options;
    this.#ticks += 1;
    if (raft.role === 'leader' && this.#receiver.isActive) this.#receiver.abandon();
    if (this.isRebuilding && !this.#receiver.isActive && raft.leader !== null) this.needSnapshot(raft.leader);
    this.#ask(this.#receiver.tick(raft.leader));
    this.#boundLog();
    if (raft.role !== 'leader') return;
    this.#settleLevel();
    this.#goOnWithPlan();
  }

  // Levels

  /**
   * The level rises to the newest one that all members know. It falls to the first one, which all code knows, when an
   * operator has announced a downgrade and no change of members is under way or planned.
   */
  #settleLevel(): void {
    const { raft, store, proposeLevel, supports } = this.#options;
    const { members } = raft.configuration;
    if (store.downgradeAnnounced) {
      const isPlain = members.every(({ voter, plan }) => voter && plan === null) && raft.isConfigurationCommitted;
      if (store.level > groupLevelMin && isPlain) proposeLevel(groupLevelMin);
      return;
    }
    // A replica that is absent holds nobody back: otherwise it could never be replaced while the group is at level 1.
    const present = members.filter(({ id }) => !this.#absent.has(id));
    const known = present.map(({ id }) =>
      id === raft.id ? supports : (this.#reports.get(id)?.supports ?? groupLevelMin),
    );
    const level = Math.min(...known);
    if (level > store.level) proposeLevel(level);
  }

  // Members

  #goOnWithPlan(): void {
    const { raft } = this.#options;
    if (!raft.isConfigurationCommitted) return;
    const step = nextStep(raft.configuration, {
      self: raft.id,
      isReady: (learner) => this.isReady(learner),
      hasConfiguration: (voter) => (raft.matchOf(voter) ?? -1) >= raft.configurationIndex,
    });
    if (step === null) return;
    if (step.kind === 'change') return void raft.proposeConfiguration(raft.configuration, step.configuration);
    // While leadership is handed over nothing is proposed, so the handover is not tried again at once if it failed.
    if (this.#ticks < this.#nextTransferTick) return;
    this.#nextTransferTick = this.#ticks + transferSpacingTicks;
    raft.transferLeadership(step.to);
  }

  /** Whether the learner has all that is committed, serves, and understands the level of the group. */
  isReady(learner: ReplicaId): boolean {
    const { raft, store } = this.#options;
    const report = this.#reports.get(learner);
    if (report === undefined || report.state !== 'serving' || report.supports < store.level) return false;
    return (raft.matchOf(learner) ?? -1) >= raft.commit;
  }

  // The length of the log

  #boundLog(): void {
    const { raft, log, store, sql, bounds } = this.#options;
    const sender = this.#sender;
    sender.tick((receiver) => (this.#reports.get(receiver)?.state === 'serving' ? raft.matchOf(receiver) : null));
    if (store.level === groupLevelMin) return;
    const mayGiveUp = sender.isActive && !isPatient(log, bounds);
    const first = mayGiveUp ? firstHeld(log, sender.heldBytesMax, bounds) : null;
    if (first !== null) sender.giveUp(first);
    const needs = { persisted: store.persistedIndex, held: sender.heldIndex, leastMatch: this.#leastMatch() };
    const point = truncationPoint(log, needs, bounds);
    if (point === null) return;
    const { logEntriesMax, logEntriesKept } = bounds;
    const kept = { rows: logEntriesMax + logEntriesKept, bytes: logBytesMax + logBytesKept };
    sql.turn(() => log.truncate(point, kept));
    raft.truncated();
  }

  #leastMatch(): LogIndex | null {
    const { raft } = this.#options;
    if (raft.role !== 'leader') return null;
    let least: LogIndex | null = null;
    for (const { id } of raft.configuration.members) {
      const match = raft.matchOf(id);
      if (match !== null && (least === null || match < least)) least = match;
    }
    return least;
  }

  // Snapshots

  #ask(ask: PeerMessage | null): void {
    if (ask !== null) this.#options.send(ask);
  }

  #receivePart(part: Part): void {
    const { raft, sql, log, store, restart } = this.#options;
    // Even a wrong store is not replaced by an older one, because watchers here were told of what it had applied.
    const { index } = part.name;
    const isUseful = this.isRebuilding ? index >= store.persistedIndex : index > store.appliedIndex;
    if (!isUseful) return this.#receiver.abandon();
    const configuration = sql.transaction(() => {
      const received = this.#receiver.receive(part);
      if (received.kind === 'ask') this.#ask(received.ask);
      if (received.kind !== 'complete') return null;
      const { name, term } = received.last;
      const position = { index: name.index, term };
      const group = decodeConfiguration(received.last.configuration);
      log.restore(position, group, { keep: raft.holds(position) });
      this.#receiver.finish();
      this.#divergence.replaced();
      return group;
    });
    if (configuration !== null) restart('a snapshot has taken the place of the store', configuration);
  }

  // Divergence

  #judge(): void {
    const { raft, send } = this.#options;
    for (const verdict of this.#comparison.verdicts(raft.id, raft.configuration.voters)) {
      if (verdict.kind === 'selfDiverged') return this.#selfDiverged(raft.commit);
      send({ kind: 'diverged', from: raft.id, to: verdict.peer, ...verdict.at });
    }
  }

  #selfDiverged(at: LogIndex): void {
    if (this.isRebuilding) return;
    this.#divergence.found(at);
    this.#options.raft.suspend();
    this.#options.restart('the store differs from that of the group', null);
  }
}
