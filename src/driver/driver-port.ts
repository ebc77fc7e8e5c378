// The two sides of a driver that are not its callers: its host, which has the network and the clock, and whoever hears
// what it did.

import type { ReplicaId, Revision } from '../model/brands.ts';
import type { Command, RevisionEvents } from '../model/store.ts';
import type { UndoneCommand } from '../mvcc/careful-apply.ts';
import type { LeaseChange } from '../mvcc/leases.ts';
import type { Configuration } from '../raft/configuration.ts';
import type { PeerMessage } from './envelope.ts';
import type { RestartReason } from './upkeep.ts';

/** The steps of a turn (`driver.ts`), as each begins; `written`: the second has ended. */
export type TurnStep = 'sendEarly' | 'write' | 'written' | 'send' | 'answer';

/** What a driver needs of its host. */
export interface DriverPort {
  /** Hands messages to the network. What was written before the call must be durable before they leave. */
  send(messages: readonly PeerMessage[]): void;
  /** This command threw and was undone, as on every replica. That is a fault of this code: tell whoever can mend it. */
  undone(command: UndoneCommand): void;
  /**
   * This configuration is committed. Inside the turn that applies it: what the host keeps of it is written with
   * it.
   */
  configured(configuration: Configuration): void;
  /** This replica is not a member any more; `members` are. Comes again until the host has stopped it. */
  removed(members: readonly ReplicaId[]): void;
  /**
   * The store on disk is another one, or known to be wrong. The driver is halted; the host makes a new one of what is
   * on disk.
   */
  restart(reason: RestartReason): void;
  /** More is committed than one turn applies: call `goOn` soon, after others. May come again before that. */
  applySoon(): void;
  /**
   * The group has nothing to do: stop the clock until the next input. May come again after an input that changes
   * nothing.
   */
  rest(): void;
  nowMs(): number;
  /** Comes before each step of a turn. A simulator may crash the replica here. */
  before?(step: TurnStep): void;
}

/** Whoever hears what a driver did, as far as it has a method for it. */
export interface DriverListener {
  /**
   * Revisions that were just applied, for the watchers here. `events`: null where very many keys were deleted, more
   * than memory may hold: history tells what came up to `revision`.
   */
  published?(events: readonly RevisionEvents[] | null, revision: Revision): void;
  /** Commands that were just applied, whatever became of them: some end watches. */
  applied?(commands: readonly Command[]): void;
  /** What was just applied granted or ended leases, in this order. */
  leasesChanged?(changes: readonly LeaseChange[]): void;
  /** Another replica leads now, or nobody is known to. */
  leaderChanged?(leader: ReplicaId | null): void;
  /** A leader whose group has nothing else to do asks: it rests if every listener that answers says true. */
  mayRest?(): boolean;
  /** The group is about to rest (`DriverPort.rest`, which comes next). */
  resting?(): void;
}
