// How long the steps of a large delete take on Node's SQLite, and how much memory they hold: node --expose-gc
// test/measure/large-deletes.ts [keys] [bytes of a value]

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { logIndex } from '../../src/model/brands.ts';
import { deleteStepRows } from '../../src/limits.ts';
import type { Command } from '../../src/model/store.ts';
import { Store } from '../../src/mvcc/store.ts';
import { NodeSql } from '../support/node-sql.ts';
import { everything, put, remove, service } from '../mvcc/requests.ts';

const [keys = 500_000, valueBytes = 100] = process.argv.slice(2).map(Number);
const folder = mkdtempSync(join(tmpdir(), 'large-deletes-'));
const sql = new NodeSql(join(folder, 'store.sqlite'));
const store = new Store(sql);
const value = new Uint8Array(valueBytes).fill(0x76);
let index = 0;
for (let first = 0; first < keys; first += 2_000) {
  const commands = Array.from({ length: 2_000 }, (_, n): Command => {
    const key = `registry/pods/${String(first + n).padStart(12, '0')}`;
    return { writeId: key, caller: service, atMs: 1, operation: put(key, value) };
  });
  sql.transaction(() => store.apply(logIndex(++index), commands));
}
const command: Command = { writeId: 'delete', caller: service, atMs: 1, operation: remove(everything) };
const heldMiB = (): number => {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1_048_576;
};
const before = heldMiB();
let held = 0;
const steps = store.applyInSteps(logIndex(++index), [command], deleteStepRows);
const times: number[] = [];
for (let done = false; !done;) {
  const beganMs = performance.now();
  done = sql.transaction(() => steps?.next().done ?? true);
  times.push(performance.now() - beganMs);
  if (times.length % 200 === 0) held = Math.max(held, heldMiB() - before);
}
times.sort((left, right) => left - right);
const at = (share: number): string => (times[Math.floor(share * (times.length - 1))] ?? 0).toFixed(1);
const seconds = times.reduce((sum, time) => sum + time, 0) / 1_000;
console.log(`${keys} keys, ${valueBytes} B values: ${times.length} steps, ${seconds.toFixed(1)} s`);
console.log(
  `a step: median ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms; held ${held.toFixed(1)} MiB at most`,
);
rmSync(folder, { recursive: true });
