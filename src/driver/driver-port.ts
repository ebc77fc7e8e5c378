// The two sides of a driver beside its callers: its host, which has the network and the clock, and listeners that hear
// what it did.

import type { ReplicaId, Revision } from '../model/brands.ts';
import type { Command, RevisionEvents } from '../model/store.ts';
import type { UndoneCommand } from '../mvcc/careful-apply.ts';
import type { LeaseChange } from '../mvcc/leases.ts';
import type { Configuration } from '../raft/configuration.ts';
import type { PeerMessage } from './envelope.ts';
import type { RestartReason } from './upkeep.ts';

/**
 * The steps of a turn (`driver.ts`), each as it begins. `written`: the second one has ended. `flush`: a turn of its
 * own.
 */
export type TurnStep = 'sendEarly' | 'write' | 'written' | 'send' | 'answer' | 'flush';

/** What a driver needs of its host. */
export interface DriverPort {
  /** Hands messages to the network. What was written before the call must be durable before they leave. */
  send(messages: readonly PeerMessage[]): void;
  /**
   * This command threw and was undone, as on every replica. That is a fault of this code, so somebody who can mend it
   * must be told.
   */
  undone(command: UndoneCommand): void;
  /**
   * This configuration is committed. It is called inside the transaction that applies it, and what the host keeps of it
   * is written with it.
   */
  configured(configuration: Configuration): void;
  /**
   * This replica is not a member any more; `members` are. It is called again until the host has stopped the replica.
   */
  removed(members: readonly ReplicaId[]): void;
  /**
   * The store on disk is another one, or known to be wrong. The driver is halted, and the host makes a new one of what
   * is on disk.
   */
  restart(reason: RestartReason): void;
  /**
   * More is committed than one turn applies, so `goOn` must be called soon, after other work. It may be called again
   * before that.
   */
  applySoon(): void;
  /** Much is in memory that has no rows yet, so `flush` must be called soon, after other work. */
  flushSoon(): void;
  /**
   * So many bytes are in memory until they are flushed. False: the memory of this isolate has no room for them, and
   * they are flushed at once. Absent: there is room.
   */
  mayHold?(bytes: number): boolean;
  /**
   * So many bytes of what is in the tables are kept in memory, to be faster. False: the memory of this isolate has no
   * room for them, and they are forgotten. Absent: there is room.
   */
  mayKeep?(bytes: number): boolean;
  /**
   * The group has nothing to do, so the clock stops until the next input. It may be called again after an input that
   * changes nothing.
   */
  rest(): void;
  nowMs(): number;
  /** Called before each step of a turn. A simulator may crash the replica here. */
  before?(step: TurnStep): void;
}

/** A listener hears what a driver did, as far as it has a method for it. */
export interface DriverListener {
  /**
   * Revisions that were just applied, for the watchers here. `events`: null if very many keys were deleted, more than
   * memory may hold. History tells what came up to `revision`.
   */
  published?(events: readonly RevisionEvents[] | null, revision: Revision): void;
  /** Commands that were just applied, whatever became of them. Some end watches. */
  applied?(commands: readonly Command[]): void;
  /** The entries that were just applied granted or ended these leases, in this order. */
  leasesChanged?(changes: readonly LeaseChange[]): void;
  /** Another replica leads now, or nobody is known to. */
  leaderChanged?(leader: ReplicaId | null): void;
  /**
   * A leader whose group has nothing else to do asks this. The group rests if every listener that answers says true.
   */
  mayRest?(): boolean;
  /** The group is about to rest (`DriverPort.rest`, which comes next). */
  resting?(): void;
}
