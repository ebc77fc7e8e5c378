// A replica at work: one member of a tenant's group. It joins the driver to the platform: peers, clock, watchers,
// callers. It exists once the object was provisioned; what it must know of itself is in the table `member`.

import { assert } from '../base/assert.ts';
import { type ReplicaId, replicaId, type Revision } from '../model/brands.ts';
import { utf8 } from '../base/bytes.ts';
import {
  electionTimeoutTicks,
  heartbeatTicks,
  leaderWaitMs,
  requestTimeoutMs,
  snapshotAskSpacingMs,
  tickMs,
} from '../limits.ts';
import type { Command, RevisionEvents } from '../model/store.ts';
import type { UndoneCommand } from '../mvcc/careful-apply.ts';
import type { LeaseChange } from '../mvcc/leases.ts';
import { type Configuration, foundingConfiguration, type GroupMember } from '../raft/configuration.ts';
import { hasTable, type SqlPort } from '../base/sql-port.ts';
import { Driver, type DriverPort } from '../driver/driver.ts';
import type { Read, ReadResult } from '../driver/pending-reads.ts';
import type { Write, WriteRequest, WriteResult } from '../driver/proposals.ts';
import { decodeEnvelope, encodeEnvelope, type PeerMessage } from '../driver/envelope.ts';
import { wait } from '../base/timers.ts';
import { LeaderDoubt } from './leader-doubt.ts';
import { Peers, type PeerStub } from './peers.ts';

export type MemberIdentity = {
  readonly tenant: string;
  readonly number: ReplicaId;
  /** Who votes, as of the last configuration that was committed here. The log knows more. */
  readonly members: readonly { readonly number: ReplicaId; readonly location: string }[];
};

const memberFormat = 1;

/** null: the object was never provisioned, or was wiped. Writes nothing. */
export function loadIdentity(sql: SqlPort): MemberIdentity | null {
  const row = hasTable(sql, 'member') ? sql.all('SELECT format, tenant, number FROM member')[0] : undefined;
  if (row === undefined) return null;
  const [format, tenant, number] = row;
  assert(
    Number(format) <= memberFormat,
    `the replica has format ${String(format)}; this code reads up to ${memberFormat}`,
  );
  const members = sql
    .all('SELECT number, location FROM members ORDER BY number')
    .map(([memberNumber, location]) => ({ number: replicaId(Number(memberNumber)), location: String(location) }));
  return { tenant: String(tenant), number: replicaId(Number(number)), members };
}

export function saveIdentity(sql: SqlPort, identity: MemberIdentity): void {
  sql.transaction(() => {
    sql.run('CREATE TABLE member (format INTEGER NOT NULL, tenant TEXT NOT NULL, number INTEGER NOT NULL)');
    sql.run('CREATE TABLE members (number INTEGER PRIMARY KEY, location TEXT NOT NULL)');
    sql.run('INSERT INTO member VALUES (?, ?, ?)', memberFormat, identity.tenant, identity.number);
    for (const member of identity.members) sql.run('INSERT INTO members VALUES (?, ?)', member.number, member.location);
  });
}

/** The only members that code of level 1 knows: those who vote. */
function saveVoters(sql: SqlPort, { members }: Configuration): void {
  sql.run('DELETE FROM members');
  for (const { id, location, voter } of members) if (voter) sql.run('INSERT INTO members VALUES (?, ?)', id, location);
}

export type MemberOptions = {
  readonly identity: MemberIdentity;
  readonly sql: SqlPort;
  readonly stubOf: (peer: ReplicaId) => PeerStub;
  readonly published: (events: readonly RevisionEvents[] | null, revision: Revision) => void;
  readonly applied: (commands: readonly Command[]) => void;
  readonly leasesChanged: (changes: readonly LeaseChange[]) => void;
  /** A peer's object is none. */
  readonly absent: (peer: ReplicaId) => void;
  /** A peer answered a call. */
  readonly present: (peer: ReplicaId) => void;
  /** This replica is not in the group any more; `members` are. */
  readonly removed: (members: readonly ReplicaId[]) => void;
  /** The object must start again from its storage. */
  readonly restart: (reason: string) => void;
  readonly ticked: () => void;
  /** Another replica leads now, or nobody is known to. */
  readonly leaderChanged: () => void;
  /** Asked while this replica leads and its group has nothing else to do. */
  readonly mayRest: () => boolean;
  /** Before the clock stops: from here on the object may be put to sleep. */
  readonly resting: () => void;
  /** An assertion failed: the object must reset. */
  readonly broken: (error: unknown) => void;
};

export class Member implements DriverPort {
  readonly identity: MemberIdentity;
  /** What etcd's headers show: 64 bits each, never 0. */
  readonly clusterId: string;
  readonly memberId: string;
  readonly driver: Driver;
  readonly #options: MemberOptions;
  readonly #peers: Peers;
  #clock: ReturnType<typeof setInterval> | null = null;
  /** While messages of a peer are handled: what is said to that peer goes into the answer to its call. */
  #answering: { readonly peer: ReplicaId; readonly replies: PeerMessage[] } | null = null;
  readonly #doubt: LeaderDoubt;
  readonly #waitingForLeader = new Set<() => void>();
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
      absent: options.absent,
      present: options.present,
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
  }

  /** Voters and learners, as the newest entry of the log has them. */
  get members(): readonly GroupMember[] {
    return this.driver.raft.configuration.members;
  }

  get voters(): readonly ReplicaId[] {
    return this.driver.raft.configuration.voters;
  }

  // What callers need

  write(request: WriteRequest, { quiet = false }: { readonly quiet?: boolean } = {}): Promise<WriteResult> {
    return new Promise((settle) => {
      this.#writes.push({ request, settle, quiet });
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
      this.#waitingForLeader.add(resolve);
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
    this.#lookForLeader();
  }

  /**
   * In the next turn of the event loop: calls that have arrived by then go to the driver together, which costs a lone
   * call next to nothing and makes busy groups' log entries and confirmation rounds half again as large.
   */
  #submitSoon(): void {
    if (this.#submitting) return;
    this.#submitting = true;
    setTimeout(() => {
      const [writes, reads] = [this.#writes, this.#reads];
      [this.#writes, this.#reads, this.#submitting] = [[], [], false];
      this.#run(() => this.driver.submit(writes, reads));
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

  published(events: readonly RevisionEvents[] | null, revision: Revision): void {
    this.#options.published(events, revision);
  }

  applied(commands: readonly Command[]): void {
    this.#options.applied(commands);
  }

  leasesChanged(changes: readonly LeaseChange[]): void {
    this.#options.leasesChanged(changes);
  }

  undone({ index, operation, error }: UndoneCommand): void {
    console.error(`log entry ${index}: a command (${operation}) threw and was undone on every replica`, error);
  }

  leaderChanged(): void {
    this.#lookForLeader();
    this.#options.leaderChanged();
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

  mayRest(): boolean {
    return this.#options.mayRest();
  }

  #lookForLeader(): void {
    for (const proceed of this.#waitingForLeader) proceed();
    this.#waitingForLeader.clear();
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
    this.#options.resting();
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
        this.#options.ticked();
      });
      // Those who wait for a leader look at the time, too.
      this.#lookForLeader();
    }, tickMs);
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
