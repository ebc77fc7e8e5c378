// A group in which each replica runs the present code or that of an earlier level, on real SQLite, joined by the bytes
// of their envelopes.

import type { UndoneCommand } from '../../src/mvcc/careful-apply.ts';
import { replicaId, type ReplicaId } from '../../src/model/brands.ts';
import { emptyBytes, utf8 } from '../../src/base/bytes.ts';
import { noLease } from '../../src/model/brands.ts';
import type { Operation, Outcome } from '../../src/model/store.ts';
import { foundingConfiguration } from '../../src/raft/configuration.ts';
import { seededRandom } from '../support/random.ts';
import { Driver } from '../../src/driver/driver.ts';
import { decodeEnvelope, encodeEnvelope } from '../../src/driver/envelope.ts';
import { NodeSql } from '../support/node-sql.ts';
import * as level1 from '../support/levels/level-1.js';
import * as level2 from '../support/levels/level-2.js';

export type FormerVersion = 'level 1' | 'level 2';
export type Version = FormerVersion | 'new';
const group = 'mixed';

type Running = {
  readonly driver: Driver | level2.Driver | level1.Driver;
  readonly level: () => number;
  readonly receive: (bytes: Uint8Array) => void;
};

const sharedPort = {
  published: () => undefined,
  applied: () => undefined,
  undone: ({ error }: UndoneCommand) => {
    throw error;
  },
  leaderChanged: () => undefined,
  rest: () => undefined,
  mayRest: () => false,
  nowMs: () => 1_000,
};

function sharedOptions(id: ReplicaId): {
  readonly id: ReplicaId;
  readonly random: () => number;
  readonly electionTimeoutTicks: number;
  readonly heartbeatTicks: number;
} {
  return { id, random: seededRandom(id), electionTimeoutTicks: 10, heartbeatTicks: 1 };
}

/** One replica: a database that stays, and code that may be exchanged. */
class VersionedReplica {
  readonly id: ReplicaId;
  readonly sql = new NodeSql();
  readonly #voters: readonly ReplicaId[];
  readonly #send: (to: ReplicaId, bytes: Uint8Array) => void;
  #running: Running | null = null;

  constructor(id: ReplicaId, voters: readonly ReplicaId[], send: (to: ReplicaId, bytes: Uint8Array) => void) {
    this.id = id;
    this.#voters = voters;
    this.#send = send;
  }

  start(version: Version): void {
    this.#running = version === 'level 1' ? this.#startLevel1() : this.#startLater(version);
  }

  #startLevel1(): Running {
    const { id, sql } = this;
    const driver = new level1.Driver({
      ...sharedOptions(id),
      sql,
      voters: this.#voters,
      port: {
        ...sharedPort,
        send: (messages) => {
          for (const message of messages) this.#send(message.to, level1.encodeEnvelope({ group, messages: [message] }));
        },
      },
    });
    return { driver, level: () => 1, receive: (bytes) => driver.receive(level1.decodeEnvelope(bytes).messages) };
  }

  #startLater(version: 'level 2' | 'new'): Running {
    const { id, sql } = this;
    const code = version === 'new' ? { Driver, encodeEnvelope, decodeEnvelope } : level2;
    const driver = new code.Driver({
      ...sharedOptions(id),
      sql,
      commandWork: { rowsMax: 50, valueBytesMax: 10_000 },
      founding: foundingConfiguration(this.#voters.map((voter) => ({ id: voter, location: '' }))),
      port: {
        ...sharedPort,
        configured: () => undefined,
        removed: () => undefined,
        applySoon: () => driver.goOn(),
        flushSoon: () => this.#flush(),
        restart: () => this.start(version),
        send: (messages) => {
          const { report } = driver;
          for (const message of messages) {
            this.#send(message.to, code.encodeEnvelope({ group, messages: [message], report }));
          }
        },
      },
    });
    if (driver instanceof Driver) driver.listen({ mayRest: () => false });
    const receive = (bytes: Uint8Array): void => {
      const { messages, report } = code.decodeEnvelope(bytes);
      driver.receive(messages, report);
    };
    return { driver, level: () => driver.store.level, receive };
  }

  #flush(): void {
    const { driver } = this;
    if (driver instanceof Driver) driver.flush();
  }

  stop(): void {
    this.#running = null;
  }

  get driver(): Running['driver'] | null {
    return this.#running?.driver ?? null;
  }

  /** Null: the replica is stopped. */
  get level(): number | null {
    return this.#running?.level() ?? null;
  }

  receive(bytes: Uint8Array): void {
    this.#running?.receive(bytes);
  }

  /** The replicated state, as rows. */
  rows(): string {
    return JSON.stringify(this.sql.all('SELECT * FROM head ORDER BY key'));
  }
}

export class MixedGroup {
  readonly replicas: readonly VersionedReplica[];
  #network: { readonly to: ReplicaId; readonly bytes: Uint8Array }[] = [];
  #writes = 0;

  constructor(versions: readonly Version[]) {
    const voters = versions.map((_, place) => replicaId(place + 1));
    const send = (to: ReplicaId, bytes: Uint8Array): void => void this.#network.push({ to, bytes });
    this.replicas = voters.map((id) => new VersionedReplica(id, voters, send));
    for (const [place, replica] of this.replicas.entries()) replica.start(versions[place] ?? 'new');
  }

  replica(number: number): VersionedReplica {
    const found = this.replicas[number - 1];
    if (found === undefined) throw new Error(`no replica ${number}`);
    return found;
  }

  /** Lets time pass, and every message arrives. */
  run(ticks = 30): void {
    for (let tick = 0; tick < ticks; tick++) {
      for (const { driver } of this.replicas) driver?.tick();
      this.deliver();
    }
  }

  /** Makes this replica the leader. */
  lead(number: number): void {
    const { driver, id } = this.leader();
    if (id !== number) driver?.transferLeadership(replicaId(number));
    this.run();
  }

  leader(): VersionedReplica {
    this.run();
    const found = this.replicas.find(({ driver }) => driver?.raft.role === 'leader' && driver.halted === null);
    if (found === undefined) throw new Error('nobody leads');
    return found;
  }

  /** The outcome of the write. @throws where it was not applied. */
  write(operation: Operation, writeId = `w${this.#writes++}`): Outcome {
    const { driver } = this.leader();
    let outcome: Outcome | null = null;
    const request = { writeId, caller: { kind: 'service' }, operation } as const;
    driver?.write(request, (result) => {
      if (result.kind === 'applied') outcome = result.outcome;
    });
    this.run();
    if (outcome === null) throw new Error('a write was not applied');
    return outcome;
  }

  put(key: string, value: string): Outcome {
    const request = { key: utf8(key), value: utf8(value), lease: noLease };
    return this.write({
      kind: 'put',
      request: { ...request, previous: false, ignoreValue: false, ignoreLease: false },
    });
  }

  remove(key: string): Outcome {
    return this.write({ kind: 'deleteRange', request: { key: utf8(key), rangeEnd: emptyBytes, previous: true } });
  }

  /** Every message arrives, and so do the answers to it. No time passes. */
  deliver(): void {
    for (let hops = 0; this.#network.length > 0 && hops < 1_000; hops++) {
      const batch = this.#network;
      this.#network = [];
      for (const { to, bytes } of batch) this.replicas.find(({ id }) => id === to)?.receive(bytes);
    }
  }
}
