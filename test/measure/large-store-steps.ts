// `npm run large-store:steps`: what a large store costs the thread and the memory of one isolate. The production
// drivers of two replicas run on SQLite files in one process, whose heap npm's script limits, and are joined by the
// bytes of their envelopes. Every call into a driver is timed, because nothing else is served while it runs. Exits with
// 1 if the two stores differ, hold more than an isolate's memory, or have a log that is longer than its bound.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getHeapStatistics } from 'node:v8';
import { replicaId, type ReplicaId } from '../../src/model/brands.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { electionTimeoutTicks, heartbeatTicks, tickMs } from '../../src/limits.ts';
import type { Operation } from '../../src/model/store.ts';
import { decodeCursor } from '../../src/mvcc/snapshot/snapshot-page.ts';
import { SnapshotSink } from '../../src/mvcc/snapshot/snapshot-sink.ts';
import { type Configuration, foundingConfiguration, withLearner } from '../../src/raft/configuration.ts';
import { seededRandom } from '../support/random.ts';
import { Driver } from '../../src/driver/driver.ts';
import { decodeEnvelope, encodeEnvelope } from '../../src/driver/envelope.ts';
import { LogTable } from '../../src/driver/log-table.ts';
import { usualBounds } from '../../src/driver/log-truncation.ts';
import { compact, everything, keyRange, put, range, service } from '../mvcc/requests.ts';
import { commandLine } from '../../src/cli/command-line.ts';
import { wholeNumber } from '../support/option-values.ts';
import { heldBytes } from '../support/held-bytes.ts';
import { NodeSql } from '../support/node-sql.ts';
import { LargeValues, mb, megabyte } from './large-values.ts';

const help = `Usage: npm run large-store:steps -- [options]

Takes a large store through its life: it is filled, opened anew, sent to a new replica that crashes on the way, found altered and rebuilt
beside the altered one, overwritten, compacted, and found altered again while others write faster than a snapshot is taken, until the
snapshot is given up. Prints the longest single step of each kind and the memory of both replicas together: the heap and the buffers after
a collection, and the whole process, which includes SQLite's pages and what Node takes by itself.

  --megabytes N  how much live data the store has, from 64 on (1024)
  --help         print this
`;

/** The time between two looks at the memory that is held; each look is a garbage collection. */
const lookMs = 500;
/** The log is cut only at ticks, and the store may be a little larger once the snapshot is opened. */
const writtenBetweenTicksMax = 32 * megabyte;
const isolateBytes = 128 * megabyte;
const sender = replicaId(1);
const receiver = replicaId(2);
const group = 'large';

/** How long single calls took, by kind. */
class Steps {
  readonly #longest = new Map<string, { ms: number; count: number; total: number }>();

  time<Result>(kind: string, step: () => Result): Result {
    const startMs = performance.now();
    const result = step();
    const ms = performance.now() - startMs;
    const known = this.#longest.get(kind) ?? { ms: 0, count: 0, total: 0 };
    this.#longest.set(kind, { ms: Math.max(known.ms, ms), count: known.count + 1, total: known.total + ms });
    return result;
  }

  report(title: string): void {
    console.log(title);
    for (const [kind, { ms, count, total }] of this.#longest) {
      const mean = (total / count).toFixed(1);
      console.log(
        `  ${kind.padEnd(28)} ${ms.toFixed(1).padStart(9)} ms longest, ${mean.padStart(7)} mean, ${count} times`,
      );
    }
    this.#longest.clear();
  }
}

type Sent = { readonly to: ReplicaId; readonly bytes: Uint8Array };

class Replica {
  readonly id: ReplicaId;
  readonly sql: NodeSql;
  restarts = 0;
  /** True: there is more to apply, once other work had its turn. */
  isBehind = false;
  #driver: Driver;
  #mustRestart = false;
  readonly #founding: Configuration;
  readonly #steps: Steps;
  readonly #network: Sent[];

  constructor(options: {
    readonly id: ReplicaId;
    readonly file: string;
    readonly founding: Configuration;
    readonly steps: Steps;
    readonly network: Sent[];
  }) {
    this.id = options.id;
    this.sql = new NodeSql(options.file);
    this.sql.database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
    this.#founding = options.founding;
    this.#steps = options.steps;
    this.#network = options.network;
    if (this.id !== sender) new LogTable(this.sql).found(options.founding);
    this.#driver = this.#open();
  }

  get driver(): Driver {
    return this.#driver;
  }

  /** Starts the replica as after a crash: nothing but the database is left. */
  open(): void {
    this.restarts++;
    this.#mustRestart = false;
    this.isBehind = false;
    this.#driver = this.#open();
  }

  call(kind: string, body: (driver: Driver) => void): void {
    this.#steps.time(`${this.id === sender ? 'sender' : 'receiver'}: ${kind}`, () => body(this.#driver));
    if (this.#mustRestart) this.open();
  }

  #open(): Driver {
    const { id, sql } = this;
    return this.#steps.time('open', () => {
      const driver: Driver = new Driver({
        id,
        founding: this.#founding,
        sql,
        random: seededRandom(id),
        electionTimeoutTicks,
        heartbeatTicks,
        port: {
          undone: ({ error }) => {
            throw error;
          },
          configured: () => undefined,
          removed: () => undefined,
          flushSoon: () => driver.flush(),
          applySoon: () => {
            this.isBehind = true;
          },
          rest: () => undefined,
          nowMs: () => Date.now(),
          restart: () => {
            this.#mustRestart = true;
          },
          send: (messages) => {
            for (const message of messages) {
              const bytes = encodeEnvelope({ group, messages: [message], report: driver.report });
              this.#network.push({ to: message.to, bytes });
            }
          },
        },
      });
      driver.listen({ mayRest: () => false });
      return driver;
    });
  }
}

class Group {
  readonly steps = new Steps();
  readonly leader: Replica;
  /** The latencies of writes that were answered. */
  readonly latenciesMs: number[] = [];
  heldMost = 0;
  /** The number of snapshots that their sender gave up. */
  givenUp = 0;
  /** Asks for parts of snapshots wait until they are let through. */
  isSlow = false;
  #asks: Sent[] = [];
  #nextLookMs = 0;
  #learner: Replica | null = null;
  readonly #network: Sent[] = [];
  readonly #directory: string;
  readonly #founding = foundingConfiguration([{ id: sender, location: '' }]);
  #nextTickMs = 0;
  #writes = 0;
  #extra = 0;

  constructor(directory: string) {
    this.#directory = directory;
    this.leader = this.#replica(sender, this.#founding);
  }

  get learner(): Replica {
    if (this.#learner === null) throw new Error('no learner has joined');
    return this.#learner;
  }

  join(): void {
    const present = this.leader.driver.raft.configuration;
    const next = withLearner(present, { location: '', plan: null });
    this.leader.call('change of members', (driver) => driver.proposeConfiguration(present, next));
    this.#learner = this.#replica(receiver, next);
  }

  /** Messages under way arrive, and clocks tick as time passes. */
  turn(): void {
    const now = performance.now();
    if (now >= this.#nextTickMs) {
      this.#nextTickMs = now + tickMs;
      this.leader.call('tick', (driver) => driver.tick());
      this.#learner?.call('tick', (driver) => driver.tick());
    }
    for (const replica of [this.leader, this.#learner]) {
      if (replica?.isBehind !== true) continue;
      replica.isBehind = false;
      replica.call('apply', (driver) => driver.goOn());
    }
    for (const sent of this.#network.splice(0)) {
      const { to, bytes } = sent;
      const { messages, report } = decodeEnvelope(bytes);
      const kind = messages[0]?.kind ?? 'nothing';
      if (kind === 'snapshotGone') this.givenUp++;
      if (kind === 'snapshotAsk' && this.isSlow) {
        this.#asks.push(sent);
        continue;
      }
      (to === sender ? this.leader : this.learner).call(kind, (driver) => driver.receive(messages, report));
    }
  }

  letAsksThrough(): void {
    const { isSlow } = this;
    this.isSlow = false;
    this.#network.push(...this.#asks.splice(0));
    this.turn();
    this.isSlow = isSlow;
  }

  /** Returns once all entries are applied. */
  write(kind: string, operations: readonly Operation[]): void {
    const unanswered = new Set(operations);
    const sentMs = performance.now();
    const writes = operations.map((operation) => ({
      request: { writeId: `${this.#writes++}`, caller: service, operation },
      settle: (result: { readonly kind: string }) => {
        if (result.kind !== 'applied') throw new Error(`a write was ${result.kind}`);
        unanswered.delete(operation);
      },
    }));
    this.leader.call(kind, (driver) => driver.submit(writes, []));
    this.turn();
    while (unanswered.size > 0) this.turn();
    this.latenciesMs.push(performance.now() - sentMs);
  }

  putOne(): void {
    this.write('put of 1 KB', [put(`extra/${this.#extra++}`, new Uint8Array(1_024).fill(0x78))]);
  }

  until(condition: () => boolean, work: () => void = () => undefined): void {
    while (!condition()) {
      this.turn();
      work();
      this.look();
    }
  }

  /** This work must not be inside of what is timed. */
  look(): void {
    if (performance.now() < this.#nextLookMs) return;
    this.heldMost = Math.max(this.heldMost, heldBytes());
    this.#nextLookMs = performance.now() + lookMs;
  }

  #replica(id: ReplicaId, founding: Configuration): Replica {
    const file = join(this.#directory, `replica-${id}.sqlite`);
    return new Replica({ id, file, founding, steps: this.steps, network: this.#network });
  }
}

function main(): void {
  const values = commandLine(help, { megabytes: { type: 'string', default: '1024' } });
  // The log alone would hold a smaller store.
  const megabytes = wholeNumber('--megabytes', values.megabytes, 64);
  const directory = mkdtempSync(join(tmpdir(), 'large-store-'));
  try {
    run(new Group(directory), megabytes);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function run(group: Group, megabytes: number): void {
  const heldFirst = heldBytes();
  const residentFirst = process.memoryUsage.rss();
  const stage = (name: string): void => {
    group.look();
    const resident = process.resourceUsage().maxRSS * 1_024 - residentFirst;
    const held = group.heldMost - heldFirst;
    group.steps.report(`${name}; held at most ${mb(held)} MB, the process grew by at most ${mb(resident)} MB`);
    group.latenciesMs.length = 0;
  };
  console.log(
    `heap of at most ${mb(getHeapStatistics().heap_size_limit)} MB; held ${mb(heldFirst)} MB before the first row`,
  );
  const stored = begin(group, megabytes);
  stage(
    `filled: ${stored.count} keys, ${mb(stored.bytes)} MB of values, ${mb(group.leader.sql.databaseBytes())} on disk`,
  );
  openAnew(group);
  stage('opened anew');
  readAll(group, stored);
  stage('read');
  for (let n = 0; n < 2_000; n++) group.putOne();
  stage(`undisturbed puts: ${latencies(group.latenciesMs)}`);
  console.log(sendWithCrash(group, stored));
  stage(`sent and swapped in, with puts: ${latencies(group.latenciesMs)}`);
  compare(group);
  stage('hashed');
  rebuild(group);
  stage(`found altered and made anew, with puts: ${latencies(group.latenciesMs)}`);
  group.until(
    () => !group.learner.driver.holdsOtherStore,
    () => group.putOne(),
  );
  group.until(() => isCaughtUp(group));
  stage(`the former store cleared away, with puts: ${latencies(group.latenciesMs)}`);
  overwrite(group, megabytes / 2);
  stage('half of it overwritten');
  compactAll(group);
  stage(`compacted, with puts: ${latencies(group.latenciesMs)}`);
  compare(group);
  stage('hashed');
  console.log(outrun(group));
  stage(`given up and taken in the end, with puts: ${latencies(group.latenciesMs)}`);
  compare(group);
  stage('hashed');
  if (group.heldMost - heldFirst > isolateBytes) throw new Error('two replicas hold more than an isolate has');
}

function begin(group: Group, megabytes: number): LargeValues {
  const { leader } = group;
  leader.call('campaign', (driver) => driver.campaign());
  group.until(() => leader.driver.raft.role === 'leader' && leader.driver.store.level > 1);
  return overwrite(group, megabytes);
}

/** The keys of the first values, so that filling the store again overwrites them. */
function overwrite(group: Group, megabytes: number): LargeValues {
  const stored = new LargeValues();
  while (stored.bytes < megabytes * megabyte) {
    const puts = stored.next(megabyte).map(({ key, value }) => put(key, value));
    group.write('put of a megabyte', puts);
    group.look();
  }
  return stored;
}

function openAnew(group: Group): void {
  const { leader, steps } = group;
  leader.open();
  group.until(() => leader.driver.raft.role === 'leader');
  steps.time('first put', () => group.putOne());
  steps.time('sizes', () => leader.driver.store.sizes());
}

/** Sends the store to a learner that crashes half-way. */
function sendWithCrash(group: Group, stored: LargeValues): string {
  const startMs = performance.now();
  const putOne = (): void => group.putOne();
  group.join();
  const { learner } = group;
  const halfway = stored.keyAt(Math.floor(stored.count / 2));
  group.until(() => (placeOf(learner) ?? '') >= halfway, putOne);
  const before = placeOf(learner) ?? '';
  learner.open();
  const places: string[] = [];
  group.until(() => {
    const place = placeOf(learner);
    if (place !== null) places.push(place);
    return learner.restarts >= 2;
  }, putOne);
  const [next] = places;
  if (next === undefined || places.some((place) => place < before)) throw new Error('the transfer went back');
  const seconds = (performance.now() - startMs) / 1_000;
  group.until(() => isCaughtUp(group));
  return `sent in ${seconds.toFixed(1)} s, ${mb(stored.bytes / seconds)} MB/s; crashed at ${before}, went on from ${next}`;
}

/**
 * Alters a row behind the store's back, where the next put looks. `meanwhile` runs at every turn until there is a new
 * store.
 */
function rebuild(group: Group, meanwhile: () => void = () => group.putOne()): void {
  const { learner } = group;
  const { restarts } = learner;
  learner.sql.run('UPDATE head SET created = created - 1 WHERE key = ?', utf8('extra/0'));
  group.write('put of an altered key', [put('extra/0', 'changed')]);
  group.until(() => learner.restarts >= restarts + 2, meanwhile);
  group.until(() => isCaughtUp(group));
}

/**
 * Until the snapshot is given up, others overwrite some keys and compact, by sixteen megabytes for each that is sent.
 */
function outrun(group: Group): string {
  const { leader } = group;
  const values = new LargeValues();
  const puts = Array.from({ length: 16 }, () => values.next(megabyte).map(({ key, value }) => put(key, value)));
  const bytesMax = usualBounds.logHeldBytesMax(leader.driver.storeBytes) + writtenBetweenTicksMax;
  let longest = 0;
  group.isSlow = true;
  rebuild(group, () => {
    const { bytes } = leader.driver.logSize;
    longest = Math.max(longest, bytes);
    if (bytes > bytesMax) throw new Error(`the log has ${mb(bytes)} MB, ${mb(bytesMax)} at most were expected`);
    group.letAsksThrough();
    if (group.givenUp > 0) {
      group.isSlow = false;
      return group.putOne();
    }
    for (const each of puts) group.write('put of a megabyte', each);
    group.write('compact', [compact(leader.driver.store.revision)]);
  });
  const store = mb(leader.driver.storeBytes);
  return `outrun: the log had ${mb(longest)} MB at most, the store ${store}; given up ${group.givenUp} times`;
}

function compactAll(group: Group): void {
  const { leader } = group;
  group.write('compact', [compact(leader.driver.store.revision)]);
  const left = (): number => Number(leader.sql.all('SELECT COUNT(*) FROM superseded')[0]?.[0]);
  group.until(
    () => left() === 0,
    () => group.putOne(),
  );
  group.until(() => isCaughtUp(group));
}

function readAll({ steps, leader }: Group, stored: LargeValues): void {
  const { store } = leader.driver;
  const revision = store.revision - 1;
  for (const at of [0, revision]) {
    let from = '\0';
    for (let more = true; more;) {
      const outcome = steps.time(`page of a list at ${at === 0 ? 'the head' : 'an old revision'}`, () =>
        store.range(range(keyRange(from, '\0'), { limit: 100, revision: at })),
      );
      if (outcome.kind === 'failed') throw new Error(`a list failed: ${outcome.failure.kind}`);
      const last = outcome.answer.kvs.at(-1);
      more = outcome.answer.more && last !== undefined;
      if (last !== undefined) from = `${Buffer.from(last.key).toString()}\0`;
    }
  }
  steps.time('count of all', () => store.range(range(everything, { countOnly: true })));
  steps.time('get', () => store.range(range(stored.keyAt(0))));
}

function isCaughtUp({ leader, learner }: Group): boolean {
  return learner.driver.serves && learner.driver.store.persistedIndex === leader.driver.store.persistedIndex;
}

function compare({ steps, leader, learner }: Group): void {
  const hashes = [leader, learner].map(({ driver: { store } }) => {
    const query = store.queryInSteps({ kind: 'hash' }, service, 0);
    for (;;) {
      const step = steps.time('step of a hash', () => query.next());
      if (step.done === true) return step.value;
    }
  });
  if (JSON.stringify(hashes[0]) !== JSON.stringify(hashes[1])) throw new Error('the stores differ');
  const keys = [leader, learner].map(({ driver: { store } }) => store.sizes().keys);
  if (keys[0] !== keys[1]) throw new Error(`the stores have ${keys.join(' and ')} keys`);
}

/**
 * The key up to which the snapshot has come; "~" is behind all keys. Null: no snapshot is under way, or it has not
 * begun.
 */
function placeOf({ sql }: Replica): string | null {
  const cursor = new SnapshotSink(sql).progress?.cursor ?? null;
  if (cursor === null) return null;
  const place = decodeCursor(cursor);
  return place.kind === 'versions' ? Buffer.from(place.key).toString() : '~';
}

function latencies(values: readonly number[]): string {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (part: number) => (sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0).toFixed(1);
  return `${sorted.length}, median ${at(0.5)} ms, p99 ${at(0.99)}, worst ${at(1)}`;
}

main();
