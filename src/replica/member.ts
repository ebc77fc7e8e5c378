// One member of a tenant's group at work. A member joins the driver to what the platform has: peers, a clock and
// callers. The other parts of a replica listen to the driver (`listen`).

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
  /** Makes the object of a learner. This may be called again for the same learner. */
  readonly provision: (joining: Joining) => Promise<void>;
  /** This replica is no longer in the group; `members` are in it. */
  readonly removed: (members: readonly ReplicaId[]) => void;
  /** The object must start again from its storage. */
  readonly restart: (reason: string) => void;
  /** An assertion failed: the object must reset. */
  readonly broken: (error: unknown) => void;
  /** See `DriverPort`. */
  readonly mayHold?: (bytes: number) => boolean;
  readonly mayKeep?: (bytes: number) => boolean;
};

/** A part of the replica that hears what the driver did, and each tick of the clock. */
export interface MemberListener extends DriverListener {
  ticked?(): void;
}

export class Member implements DriverPort {
  readonly identity: MemberIdentity;
  /** The ids in the headers of etcd's answers: numbers of 64 bits in decimal, never 0. */
  readonly clusterId: string;
  readonly memberId: string;
  readonly driver: Driver;
  readonly #options: MemberOptions;
  readonly #listeners: MemberListener[] = [];
  readonly #peers: Peers;
  readonly #absentPeers: AbsentPeers;
  #clock: ReturnType<typeof setInterval> | null = null;
  /** Set while messages of a peer are handled: messages to that peer then go into the answer to its call. */
  #answering: { readonly peer: ReplicaId; readonly replies: PeerMessage[] } | null = null;
  readonly #doubt: LeaderDoubt;
  /** The callers that wait for the next tick, or for a change of leader (`nextTick`). */
  readonly #waiters = new Set<() => void>();
  #writes: Write[] = [];
  #reads: Read[] = [];
  #submitting = false;
  #applying = false;
  #flushing = false;

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

  /** Adds a listener. Listeners are told in the order in which they were added. */
  listen(listener: MemberListener): void {
    this.#listeners.push(listener);
    this.driver.listen(listener);
  }

  /** The voters and learners of the newest configuration in the log. */
  get members(): readonly GroupMember[] {
    return this.driver.raft.configuration.members;
  }

  get voters(): readonly ReplicaId[] {
    return this.driver.raft.configuration.voters;
  }

  /** False: the clock stands still. The group rests, or this instance has just begun and nobody has asked it yet. */
  get isAwake(): boolean {
    return this.#clock !== null;
  }

  // What callers need

  write(request: WriteRequest, options: Pick<Write, 'quiet' | 'mayBeAlone' | 'source'> = {}): Promise<WriteResult> {
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
   * The leader that this replica knows. First it stands for election if it knows no leader, if it knows `failed`, or if
   * it knows `suspected` and finds no sign that this leader lives.
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
      // The campaign made this replica forget its leader: if it knows a leader now, it has heard it since.
      const leader = this.driver.raft.leader;
      if (leader !== null) return leader;
      await this.nextTick();
    }
    return null;
  }

  /** The id of a replica in etcd's calls, in decimal. */
  memberIdOf(replica: ReplicaId): string {
    return this.idOf(String(replica));
  }

  /** The id of something else of this group, in decimal. */
  idOf(name: string): string {
    return idOf(`${this.identity.tenant}/${name}`);
  }

  /** True once `to` leads. False if it does not lead within two election time-outs: it is too far behind, or away. */
  async transferLeadership(to: ReplicaId): Promise<boolean> {
    this.#run(() => this.driver.transferLeadership(to));
    const deadlineMs = this.nowMs() + 2 * electionTimeoutTicks * tickMs;
    while (this.driver.raft.leader !== to && this.nowMs() < deadlineMs) {
      await this.nextTick();
    }
    return this.driver.raft.leader === to;
  }

  /** False if the change cannot be proposed now, or not by this replica (`Driver.proposeConfiguration`). */
  changeMembers(present: Configuration, next: Configuration): boolean {
    let proposed = false;
    this.#run(() => {
      proposed = this.driver.proposeConfiguration(present, next);
    });
    return proposed;
  }

  /**
   * Resolves when the clock has ticked, or the leader has changed. A replica that was stopped has no clock: there it
   * resolves after the time of a tick.
   */
  nextTick(): Promise<void> {
    if (this.driver.halted !== null) return wait(tickMs);
    return new Promise((resolve) => {
      this.#waiters.add(resolve);
    });
  }

  /**
   * True once every write that was acknowledged before this call is applied here. False if no leader confirms it in
   * time.
   */
  async caughtUp(): Promise<boolean> {
    const deadlineMs = this.nowMs() + requestTimeoutMs;
    for (;;) {
      if ((await this.leader(null)) !== null && (await this.read()).kind === 'ready') return true;
      if (this.nowMs() >= deadlineMs) return false;
      await scheduler.wait(tickMs);
    }
  }

  /** Takes the messages that a peer's call carried. The answer carries the messages to that peer of the same turn. */
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

  /**
   * Stops this member for good, before its storage is emptied. Waiting callers are told, and nothing keeps the object
   * awake.
   */
  stop(reason: string): void {
    this.driver.stop(reason);
    this.#stopClock();
    this.#wakeWaiters();
  }

  /** Resolves when no object of a learner is being made. */
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
   * Hands calls to the driver in the next turn of the event loop, together with those that arrive by then. This costs a
   * lone call next to nothing, and makes the log entries and confirmation rounds of a busy group half again as large.
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
   * Asks for the next part of a snapshot after a pause. Objects in one process (locally: all of them) would exchange
   * the parts without leaving their thread idle, and the process looks at its network only when the thread is idle: all
   * callers would wait for the whole snapshot.
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

  /** Callers that have their answers do not wait for it. */
  flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setTimeout(() => {
      this.#flushing = false;
      this.#run(() => this.driver.flush());
    }, 0);
  }

  mayHold(bytes: number): boolean {
    return this.#options.mayHold?.(bytes) ?? true;
  }

  mayKeep(bytes: number): boolean {
    return this.#options.mayKeep?.(bytes) ?? true;
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
