// `npm run cost`: what calls on a store, time and history cost at Cloudflare's prices, counted on a local server.

import { setTimeout as sleep } from 'node:timers/promises';
import { commandLine } from '../../src/cli/command-line.ts';
import { post } from '../bench/workload.ts';
import type { Subject } from '../bench/subjects.ts';
import { Watchers } from '../bench/watchers.ts';
import { wholeNumber } from '../support/option-values.ts';
import { bills, type Figures } from './bills.ts';
import { beyond, type Counts, dollarsOf, messagesAsRequests, noCounts, plus, times } from './counts.ts';
import { CountedServer, keyAt } from './group.ts';
import { plan, pricesOf } from './prices.ts';

const help = `Usage: npm run cost -- [options]

Counts on a local server what Cloudflare would bill for one tenant of three replicas: rows, requests, messages, and the time in which
its objects may not sleep. Prices them (test/cost/prices.ts), and estimates three tenants' months. Rows and requests do not depend on the
speed of the machine, but for how many puts of 64 clients share an entry of the log.

  --puts N    puts of each measurement (6000)
  --keys N    the keys of the measurements with many keys (100000)
  --json      print one line of JSON
  --help      print this
`;

const values = commandLine(help, {
  puts: { type: 'string', default: '6000' },
  keys: { type: 'string', default: '100000' },
  json: { type: 'boolean', default: false },
});
const puts = wholeNumber('--puts', values.puts, 100);
const many = wholeNumber('--keys', values.keys, 1_000);
const hot = 100;
const awakeMs = 2_000;
const asleepMs = 5_000;
const watchers = 20;

const server = await CountedServer.start();
const measured = new Map<string, Counts>();
let awakeSecond = noCounts;

/** What the work took, without what the group takes each second that it is awake. */
async function each(name: string, count: number, work: () => Promise<void>): Promise<Counts> {
  const before = await server.counts();
  await work();
  await server.flushed();
  const used = plus(await server.counts(), before, -1);
  const seconds = awakeSecond.objectSeconds === 0 ? 0 : used.objectSeconds / awakeSecond.objectSeconds;
  return note(name, times(plus(used, awakeSecond, -seconds), 1 / count));
}

/** What the work took on a group that slept, until it sleeps again. */
async function alone(name: string, work: () => Promise<void>): Promise<Counts> {
  await server.asleep();
  const before = await server.counts();
  await work();
  await server.asleep();
  return note(name, plus(await server.counts(), before, -1));
}

function note(name: string, counts: Counts): Counts {
  measured.set(name, counts);
  return counts;
}

async function databaseBytes(): Promise<number> {
  const status = (await (await fetch(`${server.target.url}/v1/status`, { headers: server.target.headers })).json()) as {
    readonly database_bytes: number;
    readonly revision: number;
  };
  return status.database_bytes;
}

async function revision(): Promise<number> {
  const answer = (await post(server.target, '/v3/kv/range', { key: keyAt(0) })) as {
    readonly header: { readonly revision: string };
  };
  return Number(answer.header.revision);
}

async function measure(): Promise<Figures> {
  await server.byHttp({ operation: 'put', keys: hot, clients: 1, calls: 10 });
  await server.flushed();
  const before = await server.counts();
  await sleep(awakeMs);
  awakeSecond = times(plus(await server.counts(), before, -1), 1_000 / awakeMs);
  const objects = awakeSecond.objectSeconds / 3;
  awakeSecond = note('a second awake', times(awakeSecond, 1 / objects));

  const put = { operation: 'put', keys: hot, calls: puts } as const;
  const get = { operation: 'range', keys: hot, calls: puts } as const;
  const putAlone = await each('put, 1 client', puts, () => server.byHttp({ ...put, clients: 1 }));
  const putAmong64 = await each('put, 64 clients', puts, () => server.byHttp({ ...put, clients: 64 }));
  await each('put by session, 1 at a time', puts, () => server.bySession({ ...put, clients: 1 }));
  await each('put by session, 64 at a time', puts, () => server.bySession({ ...put, clients: 64 }));
  await each('get, 1 client', puts, () => server.byHttp({ ...get, clients: 1 }));
  const getAmong64 = await each('get, 64 clients', puts, () => server.byHttp({ ...get, clients: 64 }));
  await each('get by session, 64 at a time', puts, () => server.bySession({ ...get, clients: 64 }));

  const bytesBefore = await databaseBytes();
  await server.fill(many);
  await server.flushed();
  const bytesOfKeys = (await databaseBytes()) - bytesBefore;
  const name = `of ${many.toLocaleString('en')} keys`;
  await each(`put ${name}, 1 client`, puts, () => server.byHttp({ ...put, keys: many, clients: 1 }));
  const revisionsFrom = await databaseBytes();
  await each(`put ${name}, 64 clients`, puts, () => server.byHttp({ ...put, keys: many, clients: 64 }));
  const bytesOfRevisions = (await databaseBytes()) - revisionsFrom;
  await each(`get ${name}, 64 clients`, puts, () => server.byHttp({ ...get, keys: many, clients: 64 }));
  const lists = 100;
  await each('list of 100 keys, 1 client', lists, async () => {
    for (let list = 0; list < lists; list++) {
      await post(server.target, '/v3/kv/range', { key: keyAt(list), range_end: keyAt(list + 100) });
    }
  });

  const newest = await revision();
  await each('a revision that retention lets go', newest, async () => {
    await post(server.target, '/v3/kv/compaction', { revision: String(newest) });
    // The sweep goes by steps, one a tick.
    await sleep(Math.ceil(newest / 500) * 100 + 2_000);
  });

  const subject: Subject = { ...server.target, name: 'Quorate', watches: 'websocket' } as Subject;
  const watching = await Watchers.open(subject, watchers);
  const events = 100;
  const withEvents = await each('watched put', events, async () => {
    for (let event = 0; event < events; event++) {
      await post(server.target, '/v3/kv/put', { key: Buffer.from('bench-watched').toString('base64'), value: 'eA==' });
    }
  });
  measured.delete('watched put');
  const unwatched = await each('unwatched put', events, async () => {
    for (let event = 0; event < events; event++)
      await post(server.target, '/v3/kv/put', { key: 'eA==', value: 'eA==' });
  });
  measured.delete('unwatched put');
  const watchEvent = note('an event of a watch', times(beyond(withEvents, unwatched), 1 / watchers));

  await server.asleep();
  const slept = await server.counts();
  await sleep(asleepMs);
  const asleepHour = note(
    `an hour asleep, ${watchers} watches open`,
    times(plus(await server.counts(), slept, -1), 3_600_000 / asleepMs),
  );
  watching.close();
  const lonePut = await alone('a put alone: wakes the group', () =>
    server.byHttp({ operation: 'put', keys: hot, clients: 1, calls: 1 }),
  );
  const loneGet = await alone('a get alone: wakes the group', () =>
    server.byHttp({ operation: 'range', keys: hot, clients: 1, calls: 1 }),
  );
  await alone('a lease that ends by its alarm', async () => {
    await post(server.target, '/v3/lease/grant', { TTL: '10' });
    await server.asleep();
    await sleep(6_000);
  });
  return {
    lonePut,
    loneGet,
    putAlone,
    putAmong64,
    getAmong64,
    watchEvent,
    awakeSecond,
    asleepHour,
    storedBytesOfKey: (3 * bytesOfKeys) / many,
    storedBytesOfRevision: (3 * Math.max(0, bytesOfRevisions)) / puts,
  };
}

try {
  const figures = await measure();
  if (values.json) printJson(figures);
  else print(figures);
} finally {
  await server.close();
}

function printJson(figures: Figures): void {
  const rows = [...measured].map(([name, counts]) => ({ name, ...counts, dollars: dollarsOf(counts) }));
  console.log(JSON.stringify({ pricesOf, counted: rows, bills: bills(figures) }));
}

function print(figures: Figures): void {
  const columns = [
    'rows written',
    'of them deleted',
    'deleted later',
    'rows read',
    'requests',
    'of replicas',
    'object s',
    '$ a million',
  ];
  console.log(`Three replicas; prices of ${pricesOf}\n`);
  console.log(`${''.padEnd(38)}${columns.map((column) => column.padStart(16)).join('')}`);
  for (const [name, counts] of measured) {
    const cells = [
      counts.rowsWritten,
      counts.rowsDeleted,
      counts.historyRows,
      counts.rowsRead,
      counts.workerRequests + counts.objectRequests + counts.alarms + messagesAsRequests(counts),
      counts.peerRequests,
      counts.objectSeconds,
      1e6 * dollarsOf(counts),
    ];
    console.log(`${name.padEnd(38)}${cells.map((cell) => shown(cell).padStart(16)).join('')}`);
  }
  console.log(
    `\nRows that are deleted are among those written. What is "deleted later" is deleted by a compaction; the price has it.` +
      `\nRequests are those to the gateway, to objects and by alarms, and a twentieth of the messages. CPU time, at most $0.02 for a` +
      `\nmillion milliseconds of the gateway, is not counted. The plan is $${plan.dollarsAMonth} a month and has in it, for all tenants together,` +
      ` 50 million rows\nwritten, 10 million requests to the gateway, 1 million to objects and 3.1 million object seconds. What follows is without it.\n`,
  );
  for (const { name, words, rows, requests, time, storage, total } of bills(figures)) {
    const parts = { rows, requests, 'object time': time, storage };
    const texts = Object.entries(parts).map(([part, dollars]) => `${part} $${dollars.toFixed(2)}`);
    console.log(`${name}: $${total.toFixed(2)} a month (${texts.join(', ')})\n  ${words}`);
  }
}

function shown(cell: number): string {
  const rounded = Math.abs(cell) < 0.005 ? 0 : cell;
  return rounded === 0 ? '0' : rounded.toFixed(rounded >= 100 ? 0 : 2);
}
