// `npm run large-store`: a store that is larger than an isolate's memory, on a server as `npm start` starts it. Fills
// the store, takes a replica's storage away, crashes the replica that replaces it while it takes the snapshot, then
// alters a row in the database of another replica while the server is down. Puts go on throughout. Exits with 1 if a
// replica differs in the end, or a put failed.
//
// All replicas, the gateway and D1 are in one process with one thread here, and the replicas are in one isolate. So its
// memory is that of all together, and a put waits for whatever any of them does.

import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { commandLine } from '../../src/cli/command-line.ts';
import { wholeNumber } from '../support/option-values.ts';
import { decodeCursor } from '../../src/mvcc/snapshot/snapshot-page.ts';
import { hashOf } from '../../src/mvcc/hash/hash.ts';
import { runSteps } from '../../src/mvcc/steps.ts';
import { type QuorateProcess, startQuorate } from '../support/quorate-process.ts';
import { NodeSql } from '../support/node-sql.ts';
import { LargeValues, mb, megabyte } from './large-values.ts';

const help = `Usage: npm run large-store -- [options]

Fills a store, takes the storage of one replica away, and alters the rows of another one, while puts go on. Prints how long it takes until
each replica is back, in seconds and bytes a second, what that does to puts, and how much memory the server takes.

  --megabytes N  how much live data the store has, from 64 on (1024)
  --heap N       megabytes of V8's heap that each isolate may have; the platform's has 128 (128)
  --help         print this
`;

const writers = 8;
const quietMs = 10_000;
const sampleMs = 20;
const missesMax = 50;

type Status = {
  readonly leader: number;
  readonly commit_index: number;
  readonly keys: number;
  readonly alarms: readonly unknown[];
  readonly replicas: readonly {
    readonly id: number;
    readonly role: string;
    readonly state: string;
    readonly match: number | null;
    readonly diverged_at: number | null;
  }[];
};

async function main(): Promise<void> {
  const values = commandLine(help, {
    megabytes: { type: 'string', default: '1024' },
    heap: { type: 'string', default: '128' },
  });
  const megabytes = wholeNumber('--megabytes', values.megabytes, 64);
  const heap = wholeNumber('--heap', values.heap);
  const dataFolder = mkdtempSync(join(tmpdir(), 'large-store-'));
  const server = new Server(dataFolder, heap);
  try {
    await server.start();
    await run(server, megabytes);
  } finally {
    await server.stop();
    rmSync(dataFolder, { recursive: true });
  }
}

async function run(server: Server, megabytes: number): Promise<void> {
  const memory = new Memory(server);
  console.log(`the server of an empty store takes ${memory.text()}`);
  const store = await server.provision();
  await fill(store, megabytes, memory);

  const before = await store.putsDuring(() => sleep(quietMs));
  console.log(`puts of 1 KB from ${writers} callers, ${quietMs / 1_000} s: ${before}; memory ${memory.text()}`);

  await loseStorage(store, memory);
  await alter(server, store, memory);
  await compare(server, store);
}

async function fill(store: Store, megabytes: number, memory: Memory): Promise<void> {
  const stored = new LargeValues();
  const startMs = performance.now();
  const inTurn = async (): Promise<void> => {
    while (stored.bytes < megabytes * megabyte) await store.putAll(stored.next(megabyte / 2));
  };
  await Promise.all([inTurn(), inTurn(), inTurn()]);
  const seconds = (performance.now() - startMs) / 1_000;
  const { keys } = await store.status();
  console.log(
    `filled with ${keys} keys, ${mb(stored.bytes)} MB of values, in ${seconds.toFixed(0)} s; ` +
      `a replica's database has ${mb(store.fileBytes(1))} MB; memory ${memory.text()}`,
  );
}

/** The object of the replica is empty, as if it had been lost, and the group replaces it. */
async function loseStorage(store: Store, memory: Memory): Promise<void> {
  const { leader, replicas } = await store.status();
  const lost = replicas.find(({ id }) => id !== leader)?.id ?? 0;
  const joining = Math.max(...replicas.map(({ id }) => id)) + 1;
  let crashes = '';
  let joinedMs = 0;
  let upMs = 0;
  const startMs = performance.now();
  const puts = await store.putsDuring(async () => {
    await store.fault('/wipe', lost);
    joinedMs = await until(() => store.placeOf(joining) !== null);
    for (const part of [1 / 4, 1 / 2]) crashes += await crashAt(store, joining, part);
    upMs = await until(async () => isWhole(await store.status(), [joining]));
  });
  const seconds = (upMs - joinedMs) / 1_000;
  console.log(`replica ${lost} lost its storage; replica ${joining} took its place`);
  console.log(`  ${((joinedMs - startMs) / 1_000).toFixed(1)} s until it was made and its snapshot had begun`);
  console.log(
    `  ${seconds.toFixed(1)} s until it votes with all that is committed, ${mb(store.fileBytes(joining) / seconds)} MB/s`,
  );
  process.stdout.write(crashes);
  console.log(`  puts meanwhile: ${puts}; memory ${memory.text()}`);
}

/** Shows that the transfer goes on where it was: it is of the same snapshot, and never goes back. */
async function crashAt(store: Store, replica: number, part: number): Promise<string> {
  await placeWhere(store, replica, (place) => place.part >= part);
  await store.fault('/abort', replica);
  const before = await placeWhere(store, replica, () => true);
  const after = await placeWhere(store, replica, ({ key }) => key !== before.key);
  if (after.name !== before.name || after.part < before.part) {
    throw new Error(`the transfer went from ${before.key} of ${before.name} to ${after.key} of ${after.name}`);
  }
  return `  crashed at ${before.key} (${(100 * before.part).toFixed(0)} %), seen next at ${after.key}, of the same snapshot\n`;
}

/** How far the transfer is cannot be known at every moment, because its database is read while it is written. */
async function placeWhere(store: Store, replica: number, condition: (place: Place) => boolean): Promise<Place> {
  for (let misses = 0; misses < missesMax; await sleep(sampleMs)) {
    const place = store.placeOf(replica);
    misses = place === null ? misses + 1 : 0;
    if (place !== null && condition(place)) return place;
  }
  throw new Error('the snapshot has come before its receiver could be crashed: --megabytes is too few');
}

/**
 * Alters one row while the server is down. The next write to its key finds it, and a snapshot is taken beside the
 * altered store.
 */
async function alter(server: Server, store: Store, memory: Memory): Promise<void> {
  const { leader, replicas } = await store.status();
  const altered = replicas.find(({ id }) => id !== leader)?.id ?? 0;
  await server.stop();
  const key = new LargeValues().keyAt(0);
  const database = new DatabaseSync(store.fileOf(altered));
  const { changes } = database.prepare('UPDATE head SET created = created + 1 WHERE key = ?').run(Buffer.from(key));
  database.close();
  if (changes !== 1) throw new Error('there was no row to alter');
  await server.start();
  const startMs = performance.now();
  await store.put(key, Buffer.from('found'));
  const firstMs = performance.now() - startMs;
  let foundMs = 0;
  let upMs = 0;
  const puts = await store.putsDuring(async () => {
    foundMs = await until(() => store.placeOf(altered) !== null);
    upMs = await until(async () => {
      const status = await store.status();
      return isWhole(status, [altered]) && status.replicas.some(({ diverged_at: at }) => at !== null);
    });
  });
  console.log(
    `replica ${altered} was altered while the server was down; first put after its start ${firstMs.toFixed(0)} ms`,
  );
  console.log(`  made anew in ${((upMs - foundMs) / 1_000).toFixed(1)} s, beside the store that it had`);
  console.log(`  puts meanwhile: ${puts}; memory ${memory.text()}`);
  const cleared = await store.putsDuring(async () => {
    await until(() => !store.hasLeftovers(altered));
  });
  console.log(`  puts until that store was cleared away: ${cleared}; memory ${memory.text()}`);
}

/**
 * Compares the rows of every replica by the hash that `/v3/maintenance/hash` answers: the leader answers its own, and
 * those of the others are computed from their files.
 */
async function compare(server: Server, store: Store): Promise<void> {
  const startMs = performance.now();
  const puts = await store.putsDuring(() => store.hash());
  console.log(
    `/v3/maintenance/hash took ${((performance.now() - startMs) / 1_000).toFixed(1)} s; puts meanwhile: ${puts}`,
  );
  // From here on nothing is written.
  const { hash } = await store.hash();
  const { keys, replicas } = await caughtUp(store);
  await server.stop();
  for (const { id } of replicas) {
    const sql = new NodeSql(store.fileOf(id));
    const [revision] = sql.all('SELECT max(last_revision) FROM batches')[0] ?? [];
    const count = Number(sql.all('SELECT COUNT(*) FROM head')[0]?.[0]);
    const own = runSteps(hashOf(sql, { current: Number(revision), compacted: -1 }));
    sql.close();
    if (own !== hash || count !== keys)
      throw new Error(`replica ${id} has ${count} keys and hash ${own}, not ${keys} and ${hash}`);
    console.log(`replica ${id}: ${count} keys, hash ${own}, as the leader answered`);
  }
}

/** Returns once every replica has everything that is committed. */
async function caughtUp(store: Store): Promise<Status> {
  for (;;) {
    const status = await store.status();
    if (status.replicas.every(({ match }) => match === status.commit_index)) return status;
    await sleep(sampleMs);
  }
}

function isWhole({ replicas, commit_index: commit, alarms }: Status, wanted: readonly number[]): boolean {
  const isUp = replicas.every(({ state, role }) => state === 'serving' && (role === 'leader' || role === 'follower'));
  // Puts go on, so a replica may lack what was committed a moment ago.
  const isClose = replicas.every(({ match }) => match !== null && match >= commit - 100);
  return (
    isUp &&
    isClose &&
    alarms.length === 0 &&
    replicas.length === 3 &&
    wanted.every((id) => replicas.some((each) => each.id === id))
  );
}

/** Returns the time at which it was so. */
async function until(condition: () => boolean | Promise<boolean>): Promise<number> {
  while (!(await condition())) await sleep(sampleMs);
  return performance.now();
}

class Server {
  readonly dataFolder: string;
  readonly #heap: number;
  #process: QuorateProcess | null = null;

  constructor(dataFolder: string, heap: number) {
    this.dataFolder = dataFolder;
    this.#heap = heap;
  }

  get process(): QuorateProcess {
    if (this.#process === null) throw new Error('the server is down');
    return this.#process;
  }

  async start(): Promise<void> {
    this.#process = await startQuorate({
      dataFolder: this.dataFolder,
      arguments: ['--fault-port', '0'],
      environment: { MINIFLARE_WORKERD_V8_FLAGS: `--max-heap-size=${this.#heap}` },
    });
  }

  async stop(): Promise<void> {
    await this.#process?.dispose();
    this.#process = null;
  }

  async provision(): Promise<Store> {
    const { url, operatorToken } = this.process.ready;
    const headers = { Authorization: `Bearer ${operatorToken}` };
    const response = await fetch(`${url}/v1/tenants`, { method: 'POST', headers, body: '{"name":"large"}' });
    if (response.status !== 201) throw new Error(`no tenant: ${response.status} ${await response.text()}`);
    return new Store(this, await response.json());
  }
}

/** How far a snapshot is: the last key that came, and the part of all keys that have come. */
type Place = { readonly name: string; readonly key: string; readonly part: number };

class Store {
  readonly #server: Server;
  readonly #tenant: { readonly id: string; readonly key: string };
  readonly #files = new Map<number, string>();
  #puts = 0;
  #keys = 0;

  constructor(server: Server, tenant: { readonly id: string; readonly key: string }) {
    this.#server = server;
    this.#tenant = tenant;
  }

  async put(key: string, value: Uint8Array): Promise<void> {
    await this.#call('PUT', `/v1/kv/${key}`, value);
  }

  async putAll(values: readonly { readonly key: string; readonly value: Uint8Array }[]): Promise<void> {
    for (let first = 0; first < values.length; first += 128) {
      const success = values.slice(first, first + 128).map(({ key, value }) => ({
        requestPut: { key: Buffer.from(key).toString('base64'), value: Buffer.from(value).toString('base64') },
      }));
      await this.#call('POST', '/v3/kv/txn', JSON.stringify({ success }));
    }
    this.#keys += values.length;
  }

  /** How long puts of 1 KB took while that was done, with as many at a time as there are writers. */
  async putsDuring(work: () => Promise<unknown>): Promise<string> {
    const over = new AbortController();
    let failed = 0;
    const latenciesMs: number[] = [];
    const value = Buffer.alloc(1_024, 'x');
    const startMs = performance.now();
    const write = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const sentMs = performance.now();
        const isDone = await this.#tryPut(`puts/${this.#puts++ % 10_000}`, value);
        if (isDone) latenciesMs.push(performance.now() - sentMs);
        else failed++;
      }
    };
    const writing = Promise.all(Array.from({ length: writers }, write));
    // A failed put ends the work as well: `writing` does not end before that by itself.
    await Promise.race([work(), writing]);
    over.abort();
    await writing;
    const seconds = (performance.now() - startMs) / 1_000;
    const sorted = latenciesMs.toSorted((left, right) => left - right);
    const at = (part: number) =>
      (sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0).toFixed(0);
    const words = `${(sorted.length / seconds).toFixed(0)}/s, median ${at(0.5)} ms, p99 ${at(0.99)}, worst ${at(1)}`;
    return failed === 0 ? words : `${words}, ${failed} not acknowledged`;
  }

  /** False: the answer was that the put may not have been done, or not yet. */
  async #tryPut(key: string, value: Uint8Array): Promise<boolean> {
    const headers = { 'Quorate-Key': this.#tenant.key };
    const url = `${this.#server.process.ready.url}/v1/kv/${key}`;
    const response = await fetch(url, { method: 'PUT', headers, body: Buffer.from(value) });
    await response.arrayBuffer();
    if (response.status !== 200 && response.status < 500) throw new Error(`a put answered ${response.status}`);
    return response.status === 200;
  }

  async status(): Promise<Status> {
    return (await this.#call('GET', '/v1/status')) as Status;
  }

  async hash(): Promise<{ readonly hash: number }> {
    return (await this.#call('POST', '/v3/maintenance/hash', '{}')) as { readonly hash: number };
  }

  async fault(path: string, replica: number): Promise<void> {
    const body = JSON.stringify({ tenant: this.#tenant.id, replica });
    const response = await fetch(`${this.#server.process.ready.faultUrl ?? ''}${path}`, { method: 'POST', body });
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
  }

  /** The progress is read from the replica's database, because no call tells it. Null: no snapshot is under way. */
  placeOf(replica: number): Place | null {
    const row = this.#ask(replica, 'SELECT log_index, revision, place FROM incoming_snapshot');
    const place = row?.['place'];
    if (!(place instanceof Uint8Array)) return null;
    const cursor = decodeCursor(place);
    const key = cursor.kind === 'versions' ? Buffer.from(cursor.key).toString() : '~';
    const [, number = ''] = /^large\/(\d+)/.exec(key) ?? [];
    const part = number === '' ? Number(key > 'large/') : Number(number) / this.#keys;
    return { name: String(row?.['log_index']), key, part };
  }

  hasLeftovers(replica: number): boolean {
    return (
      this.#ask(replica, 'SELECT 1 FROM incoming_head UNION ALL SELECT 1 FROM incoming_large_values LIMIT 1') !== null
    );
  }

  fileOf(replica: number): string {
    const known = this.#files.get(replica);
    if (known !== undefined) return known;
    for (const file of globSync(join(this.#server.dataFolder, 'store/do/*/*.sqlite'))) {
      const row = askFile(file, 'SELECT tenant, number FROM member');
      if (row?.['tenant'] === this.#tenant.id && row['number'] === replica) {
        this.#files.set(replica, file);
        return file;
      }
    }
    throw new Error(`replica ${replica} has no database`);
  }

  fileBytes(replica: number): number {
    const file = this.fileOf(replica);
    return [file, `${file}-wal`].reduce((sum, each) => sum + (existsSync(each) ? statSync(each).size : 0), 0);
  }

  #ask(replica: number, statement: string): Record<string, unknown> | null {
    try {
      return askFile(this.fileOf(replica), statement);
    } catch {
      return null;
    }
  }

  async #call(method: string, path: string, body?: Uint8Array | string): Promise<unknown> {
    const headers = { 'Quorate-Key': this.#tenant.key };
    const url = `${this.#server.process.ready.url}${path}`;
    const response = await fetch(url, { method, headers, ...(body === undefined ? {} : { body: Buffer.from(body) }) });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return JSON.parse(text);
  }
}

/**
 * Reads a database that the server may have open, without a lock, which would be in its way, and so without the few
 * megabytes that are only in its write-ahead log. Null: there is no such row or table, or it was being written.
 */
function askFile(file: string, statement: string): Record<string, unknown> | null {
  const url = pathToFileURL(file);
  url.searchParams.set('immutable', '1');
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(url, { readOnly: true });
    return database.prepare(statement).get() ?? null;
  } catch {
    return null;
  } finally {
    database?.close();
  }
}

/** The memory of workerd, as Linux tells it. */
class Memory {
  readonly #server: Server;
  readonly #first: number;

  constructor(server: Server) {
    this.#server = server;
    this.#first = this.#bytes('VmRSS');
  }

  text(): string {
    const [now, most] = [this.#bytes('VmRSS'), this.#bytes('VmHWM')];
    const growth = most - this.#first;
    return `${mb(now)} MB, at most ${mb(most)} so far${growth > 0 ? `, ${mb(growth)} more than at first` : ''}`;
  }

  #bytes(name: 'VmRSS' | 'VmHWM'): number {
    const status = readFileSync(`/proc/${this.#server.process.runtimeProcessId}/status`, 'utf8');
    return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1_024;
  }
}

await main();
