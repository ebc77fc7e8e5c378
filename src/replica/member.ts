// A replica at work: one member of a tenant's group. It joins the driver to the platform, which has peers, a clock and
// callers. Whatever else the replica does, it hears of from the driver, as a listener.

import { assert } from '../base/assert.ts';
import type { SqlPort } from '../base/sql-port.ts';
import type { ReplicaId } from '../model/brands.ts';
import { utf8 } from '../base/bytes.ts';
import {
  electionTimeoutTicks,
  heartbeatTicks,
  leaderWaitMs,
  requestTimeoutMs,
  snapshotAskSpacingMs,
  tickMs,
} from '../limits.ts';
import type { UndoneCommand } from '../mvcc/careful-apply.ts';
import { type Configuration, foundingConfiguration, type GroupMember } from '../raft/configuration.ts';
import { Driver } from '../driver/driver.ts';
import type { DriverListener, DriverPort } from '../driver/driver-port.ts';
import type { Read, ReadResult } from '../driver/pending-reads.ts';
import type { Write, WriteRequest, WriteResult } from '../driver/proposals.ts';
import { decodeEnvelope, encodeEnvelope, type PeerMessage } from '../driver/envelope.ts';
import { wait } from '../base/timers.ts';
import { AbsentPeers, type Joining } from './absent-peers.ts';
import { type MemberIdentity, saveVoters } from './member-identity.ts';
import { LeaderDoubt } from './leader-doubt.ts';
import { Peers, type PeerStub } from './peers.ts';

export type MemberOptions = {
  readonly identity: MemberIdentity;
  readonly sql: SqlPort;
  readonly stubOf: (peer: ReplicaId) => PeerStub;
  /** Makes the object of a learner. Doing it again is fine. */
  readonly provision: (joining: Joining) => Promise<void>;
  /** This replica is not in the group any more; `members` are. */
  readonly removed: (members: readonly ReplicaId[]) => void;
  /** The object must start again from its storage. */
  readonly restart: (reason: string) => void;
  /** An assertion failed: the object must reset. */
  readonly broken: (error: unknown) => void;
};

/** Whoever hears what the driver did, and the clock. */
export interface MemberListener extends DriverListener {
  ticked?(): void;
}

export class Member implements DriverPort {
  readonly identity: MemberIdentity;
  /** What etcd's headers show: 64 bits each, never 0. */
  readonly clusterId: string;
  readonly memberId: string;
  readonly driver: Driver;
  readonly #options: MemberOptions;
  readonly #listeners: MemberListener[] = [];
  readonly #peers: Peers;
  readonly #absentPeers: AbsentPeers;
  #clock: ReturnType<typeof setInterval> | null = null;
  /** While messages of a peer are handled: what is said to that peer goes into the answer to its call. */
  #answering: { readonly peer: ReplicaId; readonly replies: PeerMessage[] } | null = null;
  readonly #doubt: LeaderDoubt;
  /** They wait for the next tick, or for another leader (`nextTick`). */
  readonly #waiters = new Set<() => void>();
  #writes: Write[] = [];
  #reads: Read[] = [];
  #submitting = false;
  #applying = false;

  constructor(options: MemberOptions) {
    this.identity = options.identity;
    this.#options = options;
    this.clusterId = idOf(options.identity.tenant);
    this.memberId = this.memberIdOf(options.identity.number);
    this.#peers = new Peers({
      group: options.identity.tenant,
      stubOf: options.stubOf,
      received: ({ messages, report }) => this.#run(() => this.driver.receive(messages, report)),
      report: () => this.driver.report,
      absent: (peer) => this.#absent(peer),
      present: (peer) => this.#absentPeers.present(peer),
      nowMs: () => this.nowMs(),
    });
    this.#doubt = new LeaderDoubt({
      raft: () => this.driver.raft,
      read: () => this.read(),
      nowMs: () => this.nowMs(),
    });
    this.driver = new Driver({
      id: options.identity.number,
      founding: foundingConfiguration(
        options.identity.members.map(({ number, location }) => ({ id: number, location })),
      ),
      sql: options.sql,
      port: this,
      random: Math.random,
      electionTimeoutTicks,
      heartbeatTicks,
    });
    this.#absentPeers = new AbsentPeers({
      driver: this.driver,
      provision: options.provision,
      nowMs: () => this.nowMs(),
    });
    this.driver.listen({ leaderChanged: () => this.#wakeWaiters() });
  }

  /** From here on it hears what the driver does, after those that came before it, and the clock. */
  listen(listener: MemberListener): void {
    this.#listeners.push(listener);
    this.driver.listen(listener);
  }

  /** Voters and learners, as the newest entry of the log has them. */
  get members(): readonly GroupMember[] {
    return this.driver.raft.configuration.members;
  }

  get voters(): readonly ReplicaId[] {
    return this.driver.raft.configuration.voters;
  }

  // What callers need

  write(request: WriteRequest, options: Pick<Write, 'quiet' | 'mayBeAlone'> = {}): Promise<WriteResult> {
    return new Promise((settle) => {
      this.#writes.push({ request, settle, ...options });
      this.#submitSoon();
    });
  }

  read(): Promise<ReadResult> {
    return new Promise((settle) => {
      this.#reads.push({ settle });
      this.#submitSoon();
    });
  }

  /**
   * The leader as far as this replica knows, after it has stood for election where none is known, where `failed` was
   * it, or where `suspected` was it and nothing speaks for it.
   */
  async leader(failed: ReplicaId | null, suspected: ReplicaId | null = null): Promise<ReplicaId | null> {
    const known = this.driver.raft.leader;
    if (known !== null && known !== failed) {
      const isGone = known === suspected && known !== this.identity.number && (await this.#doubt.isGone(known));
      if (!isGone && this.driver.raft.leader !== null) return this.driver.raft.leader;
    }
    this.#run(() => this.driver.campaign());
    const deadlineMs = this.nowMs() + leaderWaitMs;
    while (this.nowMs() < deadlineMs && this.driver.halted === null) {
      // The campaign forgot whom it doubted: a leader that is known now was heard since.
      const leader = this.driver.raft.leader;
      if (leader !== null) return leader;
      await this.nextTick();
    }
    return null;
  }

  /** What etcd's calls know a replica by, in decimal. */
  memberIdOf(replica: ReplicaId): string {
    return this.idOf(String(replica));
  }

  /** The same for something else of this group. */
  idOf(name: string): string {
    return idOf(`${this.identity.tenant}/${name}`);
  }

  /** True once `to` leads; false if it does not within two election time-outs: it was too far behind, or away. */
  async transferLeadership(to: ReplicaId): Promise<boolean> {
    this.#run(() => this.driver.transferLeadership(to));
    const deadlineMs = this.nowMs() + 2 * electionTimeoutTicks * tickMs;
    while (this.driver.raft.leader !== to && this.nowMs() < deadlineMs) {
      await this.nextTick();
    }
    return this.driver.raft.leader === to;
  }

  /** False: not now, or not here (`Driver.proposeConfiguration`). */
  changeMembers(present: Configuration, next: Configuration): boolean {
    let proposed = false;
    this.#run(() => {
      proposed = this.driver.proposeConfiguration(present, next);
    });
    return proposed;
  }

  /**
   * Resolves when the clock has ticked, or another replica leads. A replica that was stopped has no clock: it takes as
   * long.
   */
  nextTick(): Promise<void> {
    if (this.driver.halted !== null) return wait(tickMs);
    return new Promise((resolve) => {
      this.#waiters.add(resolve);
    });
  }

  /** True once all that was acknowledged before this call is applied here; false if no leader confirms it in time. */
  async caughtUp(): Promise<boolean> {
    const deadlineMs = this.nowMs() + requestTimeoutMs;
    for (;;) {
      if ((await this.leader(null)) !== null && (await this.read()).kind === 'ready') return true;
      if (this.nowMs() >= deadlineMs) return false;
      await scheduler.wait(tickMs);
    }
  }

  /** Messages of a peer, as its call carried them; the answer carries what is said back in the same turn. */
  receive(bytes: Uint8Array): Uint8Array {
    const { group, messages, report } = decodeEnvelope(bytes);
    assert(group === this.identity.tenant, `a message for group ${group} came to ${this.identity.tenant}`);
    const peer = messages[0]?.from;
    const replies: PeerMessage[] = [];
    if (peer !== undefined) {
      this.#answering = { peer, replies };
      try {
        this.#run(() => this.driver.receive(messages, report));
      } finally {
        this.#answering = null;
      }
    }
    if (peer !== undefined && peer === this.driver.raft.leader) this.#doubt.heard(peer);
    return encodeEnvelope({ group, messages: replies, report: this.driver.report });
  }

  /** For good: the storage is about to be emptied. Whoever waits is told, and nothing keeps the object awake. */
  stop(reason: string): void {
    this.driver.stop(reason);
    this.#stopClock();
    this.#wakeWaiters();
  }

  /** Resolves when no object of a learner is being made any more. */
  async settled(): Promise<void> {
    await this.#absentPeers.settled();
  }

  /** What callers have asked so far goes to the driver now, together. */
  submit(): void {
    const [writes, reads] = [this.#writes, this.#reads];
    if (writes.length + reads.length === 0) return;
    [this.#writes, this.#reads] = [[], []];
    this.#run(() => this.driver.submit(writes, reads));
  }

  /**
   * In the next turn of the event loop: calls that have arrived by then go to the driver together, which costs a lone
   * call next to nothing and makes busy groups' log entries and confirmation rounds half again as large.
   */
  #submitSoon(): void {
    if (this.#submitting) return;
    this.#submitting = true;
    setTimeout(() => {
      this.#submitting = false;
      this.submit();
    }, 0);
  }

  // What the driver needs

  send(messages: readonly PeerMessage[]): void {
    const answering = this.#answering;
    const others: PeerMessage[] = [];
    for (const message of messages) {
      if (message.kind === 'snapshotAsk') this.#sendSoon(message);
      else if (message.to === answering?.peer) answering.replies.push(message);
      else others.push(message);
    }
    this.#peers.send(others);
  }

  /**
   * Objects in one process (all of them, locally) hand parts of a snapshot back and forth without ever leaving their
   * thread idle, and what comes over the network is looked at only when it is: a whole snapshot would keep all callers
   * waiting.
   */
  #sendSoon(ask: PeerMessage): void {
    setTimeout(() => {
      if (this.driver.halted === null) this.#peers.send([ask]);
    }, snapshotAskSpacingMs);
  }

  undone({ index, operation, error }: UndoneCommand): void {
    console.error(`log entry ${index}: a command (${operation}) threw and was undone on every replica`, error);
  }

  configured(configuration: Configuration): void {
    saveVoters(this.#options.sql, configuration);
  }

  removed(members: readonly ReplicaId[]): void {
    this.#options.removed(members);
  }

  restart(reason: string): void {
    this.#options.restart(reason);
  }

  #absent(peer: ReplicaId): void {
    if (this.driver.halted === null) this.#run(() => this.#absentPeers.absent(peer));
  }

  applySoon(): void {
    if (this.#applying) return;
    this.#applying = true;
    setTimeout(() => {
      this.#applying = false;
      this.#run(() => this.driver.goOn());
    }, 0);
  }

  rest(): void {
    this.#stopClock();
  }

  nowMs(): number {
    return Date.now();
  }

  // The clock

  #run(input: () => void): void {
    try {
      if (this.driver.halted === null) this.#startClock();
      input();
    } catch (error) {
      this.#options.broken(error);
      throw error;
    }
  }

  #startClock(): void {
    this.#clock ??= setInterval(() => {
      this.#run(() => {
        this.#peers.expire();
        this.driver.tick();
        for (const listener of this.#listeners) listener.ticked?.();
      });
      this.#wakeWaiters();
    }, tickMs);
  }

  #wakeWaiters(): void {
    for (const proceed of this.#waiters) proceed();
    this.#waiters.clear();
  }

  #stopClock(): void {
    if (this.#clock === null) return;
    clearInterval(this.#clock);
    this.#clock = null;
  }
}

/** FNV-1a, 64 bits, as decimal text: stable, and different for different names as far as anybody shows them. */
function idOf(name: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of utf8(name)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return String(hash === 0n ? 1n : hash);
}
