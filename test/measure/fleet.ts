// `npm run fleet-measure`: what many tenants cost one local server: how long one takes to be made, alone and eight at a
// time, and how large its objects are; or, with --tenants, the memory of a server in which so many tenants sleep, and
// the first put to one of them.

import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { commandLine } from '../../src/cli/command-line.ts';
import { wholeNumber } from '../support/option-values.ts';
import { startQuorate } from '../support/quorate-process.ts';

const help = `Usage: npm run fleet-measure -- [options]

Measures how long a tenant takes to be made, alone and eight at a time, and what an empty one takes on disk. With --tenants it instead makes so
many with data, lets them rest for a minute, and measures the memory of all processes and puts to random ones that sleep.

  --alone N      tenants that are made one after the other (100)
  --together N   tenants that are made eight at a time (400)
  --tenants N    tenants with data that sleep (no such measurement)
  --keys N       keys of 100 bytes that each of them has (3)
  --puts N       puts to random sleeping tenants (300)
  --quiet S      seconds of quiet before the memory is measured (60)
  --data DIR     the data folder; one of an earlier run keeps its tenants (a temporary one)
  --direct       without the process in front of the Worker's runtime
  --main FILE    the entry of the server, for a comparison with another checkout
  --help         print this
`;

type Made = { readonly id: string; readonly key: string };

const warmUp = 20;
const togetherAtOnce = 8;
/** Objects that are made at the same time rest at the same time: so many fill a server without a queue. */
const fillersAtOnce = 8;
/** Ten tenants wake in a second. Each is awake for five, and takes its part of the thread for its clock. */
const spacingMs = 100;
/** The list of the tenants that were made, in the data folder. */
const listName = 'fleet-tenants.json';

const values = commandLine(help, {
  alone: { type: 'string', default: '100' },
  together: { type: 'string', default: '400' },
  tenants: { type: 'string' },
  keys: { type: 'string', default: '3' },
  puts: { type: 'string', default: '300' },
  quiet: { type: 'string', default: '60' },
  data: { type: 'string' },
  direct: { type: 'boolean', default: false },
  main: { type: 'string' },
});
const alone = wholeNumber('--alone', values.alone);
const together = wholeNumber('--together', values.together);
const tenants = values.tenants === undefined ? null : wholeNumber('--tenants', values.tenants);
const keys = wholeNumber('--keys', values.keys);
const puts = wholeNumber('--puts', values.puts);
const quietSeconds = wholeNumber('--quiet', values.quiet);

const server = await startQuorate({
  arguments: values.direct ? ['--direct'] : [],
  ...(values.data === undefined ? {} : { dataFolder: values.data }),
  ...(values.main === undefined ? {} : { main: values.main }),
});
const { url, operatorToken } = server.ready;
let names = Date.now();
console.log(`${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}; Node ${process.versions.node}`);
try {
  // The first ones compile what runs.
  for (let index = 0; index < warmUp; index++) await put((await make()).key);
  if (tenants === null) {
    await measureAlone();
    await measureTogether();
  } else {
    await measureSleeping(tenants);
  }
} finally {
  await server.dispose();
}

async function measureAlone(): Promise<void> {
  const [made, written]: [number[], number[]] = [[], []];
  for (let index = 0; index < alone; index++) {
    const startMs = performance.now();
    const { key } = await make();
    made.push(performance.now() - startMs);
    await put(key);
    written.push(performance.now() - startMs);
    await sleep(spacingMs);
  }
  console.log(`made alone                  ${summary(made)}`);
  console.log(`to the first put            ${summary(written)}`);
}

async function measureTogether(): Promise<void> {
  const startMs = performance.now();
  const times: number[] = [];
  await atOnce(together, togetherAtOnce, async () => {
    const oneMs = performance.now();
    await make();
    times.push(performance.now() - oneMs);
  });
  const perSecond = (together / (performance.now() - startMs)) * 1_000;
  console.log(`made ${togetherAtOnce} at a time           ${perSecond.toFixed(1)}/s, each ${summary(times)}`);
  await sleep(20_000);
  const files = databases();
  // What has put something is larger: the median is a tenant without data.
  const bytes = files.map(({ path }) => statSync(path).blocks * 512).toSorted((left, right) => left - right);
  const median = bytes[Math.floor(bytes.length / 2)] ?? 0;
  console.log(`disk of an empty tenant     ${((3 * median) / 1_000).toFixed(0)} KB, three replicas of ${median} bytes`);
}

async function measureSleeping(wanted: number): Promise<void> {
  const listPath = join(server.dataFolder, listName);
  const made: Made[] = listOf(listPath);
  const startMs = performance.now();
  await atOnce(Math.max(0, wanted - made.length), fillersAtOnce, async () => {
    const one = await make();
    for (let index = 0; index < keys; index++) await put(one.key, `key-${index}`);
    made.push(one);
    if (made.length % 1_000 === 0) {
      const seconds = (performance.now() - startMs) / 1_000;
      console.log(`  ${made.length} made, ${seconds.toFixed(0)} s, ${megabytes(memoryBytes())} MB`);
      writeFileSync(listPath, JSON.stringify(made));
    }
  });
  if (values.data !== undefined) writeFileSync(listPath, JSON.stringify(made));
  else rmSync(listPath, { force: true });
  await sleep(quietSeconds * 1_000);
  for (const { name, bytes } of processes()) console.log(`  ${name.padEnd(26)}${megabytes(bytes)} MB`);
  console.log(`memory, ${made.length} that sleep   ${megabytes(memoryBytes())} MB`);
  const times: number[] = [];
  for (let index = 0; index < puts; index++) {
    const one = made[Math.floor(Math.random() * made.length)];
    if (one === undefined) throw new Error('no tenant was made');
    const putMs = performance.now();
    await put(one.key);
    times.push(performance.now() - putMs);
    await sleep(spacingMs);
  }
  console.log(`put to a sleeping one       ${summary(times)}`);
}

async function make(): Promise<Made> {
  const response = await fetch(`${url}/v1/tenants`, {
    method: 'POST',
    headers: { authorization: `Bearer ${operatorToken}` },
    body: JSON.stringify({ name: `fleet-${(names++).toString(36)}` }),
  });
  const text = await response.text();
  if (response.status !== 201) throw new Error(`a tenant was not made: ${response.status} ${text}`);
  return JSON.parse(text) as Made;
}

async function put(key: string, name = 'a'): Promise<void> {
  const body = 'x'.repeat(100);
  const response = await fetch(`${url}/v1/kv/${name}`, { method: 'PUT', headers: { 'Quorate-Key': key }, body });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`a put answered ${response.status} ${text}`);
}

async function atOnce(count: number, workers: number, work: () => Promise<void>): Promise<void> {
  let begun = 0;
  const worker = async (): Promise<void> => {
    while (begun++ < count) await work();
  };
  await Promise.all(Array.from({ length: workers }, worker));
}

function listOf(path: string): Made[] {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Made[];
  } catch {
    return [];
  }
}

function databases(): { readonly path: string }[] {
  return readdirSync(server.dataFolder, { recursive: true, encoding: 'utf8' })
    .filter((path) => /Replica.*\/[0-9a-f]{64}\.sqlite$/.test(path))
    .map((path) => ({ path: join(server.dataFolder, path) }));
}

function processes(): { readonly name: string; readonly bytes: number }[] {
  return [server.process.pid ?? 0, server.runtimeProcessId].map((id) => {
    const name = readFileSync(`/proc/${id}/comm`, 'utf8').trim();
    const kilobytes = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${id}/smaps_rollup`, 'utf8'))?.[1];
    return { name, bytes: Number(kilobytes) * 1_024 };
  });
}

function memoryBytes(): number {
  return processes().reduce((sum, { bytes }) => sum + bytes, 0);
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

function summary(measured: readonly number[]): string {
  const sorted = measured.toSorted((left, right) => left - right);
  const at = (part: number): string => (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(1);
  return `median ${at(0.5)} ms, p99 ${at(0.99)} ms`;
}
