// `npm run flush`: what a put costs a replica's tables by now, and what it would cost if many were written at once.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Miniflare } from 'miniflare';
import { bundleWorker } from '../../src/server/worker-bundle.ts';
import { readWorkerSettings } from '../../src/server/worker-settings.ts';
import { commandLine } from '../../src/cli/command-line.ts';
import { wholeNumber } from '../support/option-values.ts';
import { NodeSql } from '../support/node-sql.ts';
import { type Counted, CountingSql, FlushSteps, runWork, type Shape, type Work } from './flush-steps.ts';
import type { Order } from './flush-worker.ts';

const help = `Usage: npm run flush -- [options]

Measures random puts among 2,000 keys and among 100,000, values of 100 B, on Node's SQLite and in workerd, where three objects
share a thread as three replicas do. "entry": as the store applies a log entry of so many puts, within a savepoint or without one.
"read": the pairs as they are, for so many puts. "flush": so many revisions written at once in the order of their keys.

  --seconds N    of each measurement, of which there are 36 (2)
  --help         print this
`;

const values = commandLine(help, { seconds: { type: 'string', default: '2' } });
const secondsEach = wholeNumber('--seconds', values.seconds);

const works: readonly Work[] = [
  { kind: 'apply', puts: 1, savepoint: true },
  { kind: 'apply', puts: 1, savepoint: false },
  { kind: 'apply', puts: 64, savepoint: true },
  { kind: 'apply', puts: 64, savepoint: false },
  { kind: 'read', puts: 64 },
  { kind: 'flush', puts: 500 },
  { kind: 'flush', puts: 2_000 },
  { kind: 'flush', puts: 5_000 },
  { kind: 'flush', puts: 20_000 },
];
const shapes: readonly Shape[] = [
  { keys: 2_000, valueBytes: 100 },
  { keys: 100_000, valueBytes: 100 },
];
const folder = mkdtempSync(join(tmpdir(), 'flush-'));

type Measured = { readonly rounds: number; readonly milliseconds: number; readonly counted: Counted };

function nameOf(work: Work): string {
  if (work.kind !== 'apply') return `${work.kind} ${work.puts}`;
  return `entry of ${work.puts}${work.savepoint ? ', savepoint' : ''}`;
}

function print(work: Work, replicas: number, { rounds, milliseconds, counted }: Measured): void {
  const puts = rounds * work.puts;
  const perPut = (count: number): string => (count / puts).toFixed(2).padStart(7);
  const each = ((milliseconds * 1_000) / puts / replicas).toFixed(1).padStart(7);
  const sustained = Math.round((puts * 1_000) / milliseconds);
  const turn = (milliseconds / rounds / replicas).toFixed(1).padStart(7);
  console.log(
    `  ${nameOf(work).padEnd(22)} ${each} µs a put and replica, ${String(sustained).padStart(6)} puts/s, ` +
      `${turn} ms a turn; a put: ${perPut(counted.statements)} statements, ${perPut(counted.rowsWritten)} rows`,
  );
}

function onNode(shape: Shape): void {
  const sql = new CountingSql(openFile(`node-${shape.keys}`));
  const steps = new FlushSteps(sql, shape, 1);
  while (sql.transaction(() => steps.fill()));
  console.log(`Node's SQLite, one database, ${shape.keys} keys, values of ${shape.valueBytes} B`);
  for (const work of works) {
    const changes = (): number => Number(sql.all('SELECT total_changes()')[0]?.[0]);
    const before = { ...sql.counted, rowsWritten: changes() };
    const startedMs = performance.now();
    let rounds = 0;
    for (; performance.now() - startedMs < secondsEach * 1_000; rounds++) {
      // Here a turn without a savepoint is the transaction alone.
      sql.transaction(() => runWork(sql, steps, work));
    }
    const milliseconds = performance.now() - startedMs;
    const counted = {
      statements: sql.counted.statements - before.statements,
      rowsWritten: changes() - before.rowsWritten,
    };
    print(work, 1, { rounds, milliseconds, counted });
  }
}

function openFile(name: string): NodeSql {
  const sql = new NodeSql(join(folder, name));
  sql.database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  return sql;
}

async function inWorkerd(runtime: Miniflare, shape: Shape): Promise<void> {
  const objects = 3;
  const order = async (rounds: number, work: Order['work']): Promise<Measured> => {
    const startedMs = performance.now();
    const body = JSON.stringify({ objects, rounds, shape, work } satisfies Order);
    const response = await runtime.dispatchFetch('http://measure/', { method: 'POST', body });
    if (!response.ok) throw new Error(await response.text());
    const { before, after } = (await response.json()) as { readonly before: Counted; readonly after: Counted };
    const counted = {
      statements: after.statements - before.statements,
      rowsWritten: after.rowsWritten - before.rowsWritten,
    };
    return { rounds, milliseconds: performance.now() - startedMs, counted };
  };
  await order(1, { kind: 'fill' });
  console.log(`workerd, ${objects} objects in one thread, ${shape.keys} keys, values of ${shape.valueBytes} B`);
  for (const work of works) {
    const { milliseconds } = await order(2, work);
    print(work, objects, await order(Math.max(3, Math.ceil((secondsEach * 2_000) / milliseconds)), work));
  }
}

async function startRuntime(): Promise<Miniflare> {
  const entry = fileURLToPath(import.meta.resolve('./flush-worker.ts'));
  const contents = await bundleWorker(entry);
  const settings = readWorkerSettings(fileURLToPath(import.meta.resolve('../../wrangler.toml')));
  return new Miniflare({
    cf: false,
    telemetry: { enabled: false },
    host: '127.0.0.1',
    port: 0,
    resourcePersistencePath: join(folder, 'objects'),
    workers: [
      {
        config: {
          name: 'measure',
          compatibilityDate: settings.compatibilityDate,
          compatibilityFlags: [...settings.compatibilityFlags],
          manifest: {
            mainModule: 'worker.mjs',
            modulesRoot: '/',
            modules: { 'worker.mjs': { type: 'esm', contents } },
          },
          env: { MEASURED: { type: 'durable-object', worker: 'measure', exportName: 'Measured' } },
          exports: { Measured: { type: 'durable-object', storage: 'sqlite' } },
        },
        dev: {},
      },
    ],
  });
}

try {
  for (const shape of shapes) onNode(shape);
  const runtime = await startRuntime();
  try {
    for (const shape of shapes) await inWorkerd(runtime, shape);
  } finally {
    await runtime.dispose();
  }
} finally {
  rmSync(folder, { recursive: true });
}
