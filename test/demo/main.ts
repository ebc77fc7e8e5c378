// `npm run demo`: the main job through an abort and a kill. Says what it does and what it found; see `help`.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commandLine } from '../../src/cli/command-line.ts';
import { freePorts } from '../support/free-ports.ts';
import { startQuorate, type QuorateProcess } from '../support/quorate-process.ts';
import { prefix, readPackages } from './packages.ts';
import { list, provision, type StoreAddress } from './store-client.ts';
import { checkState, checkWatch, stateAt } from './verify.ts';
import { Watcher } from './watcher.ts';
import { Writer, type Write } from './writer.ts';

const watchWaitMs = 30_000;
/** So many packages are put a second time at the end, so that an old revision differs from the newest. */
const changedAgain = 20;

const help = `Usage: npm run demo

Starts a server, watches a tenant's store, and puts every package of package-lock.json into it. On the way it aborts the leader, kills the
whole server with SIGKILL and starts it again. Then it checks that every acknowledged put is there once, that the watch saw each
revision once and in order, and that an old revision still reads as it was. Ends with 1 where something is violated.

  --help  print this
`;

async function main(): Promise<number> {
  commandLine(help, {});
  const dataFolder = mkdtempSync(join(tmpdir(), 'quorate-demo-'));
  const [port] = await freePorts(1);
  const servers: QuorateProcess[] = [];
  const start = async (): Promise<QuorateProcess> => {
    const server = await startQuorate({ dataFolder, arguments: ['--port', String(port), '--fault-port', '0'] });
    servers.push(server);
    return server;
  };
  try {
    return await run(start);
  } finally {
    for (const server of servers) await server.end('SIGTERM');
    rmSync(dataFolder, { recursive: true, force: true });
  }
}

async function run(start: () => Promise<QuorateProcess>): Promise<number> {
  say('Starting the server with a fresh data folder');
  const server = await start();
  const tenant = await provision(server.ready, 'demo');
  found(`serves at ${server.ready.url}; tenant ${tenant.id} was provisioned, a store of three replicas`);
  const store: StoreAddress = { url: server.ready.url, key: tenant.key };

  say(`Watching ${prefix} over a WebSocket, from revision 1 on`);
  const watcher = new Watcher(store, prefix);
  const writer = new Writer(store);
  try {
    const packages = readPackages();
    const writes = packages.map((pair, index) => ({ ...pair, writeId: `demo-first-${index}` }));
    const third = Math.ceil(writes.length / 3);

    say(`Putting the first ${third} of the ${writes.length} packages of package-lock.json`);
    await writer.putAll(writes.slice(0, third));
    const oldRevision = lastRevision(writer);
    found(`acknowledged; the store is at revision ${oldRevision}`);

    const next = writes.slice(third, 2 * third);
    say(`Putting the next ${next.length}, and aborting the leader's object in the middle`);
    const aborted = await putThrough(writer, next, () => abortLeader(server, tenant));
    found(
      `replica ${aborted.result} led and was aborted; all are acknowledged, ${aborted.retried} tries were sent again`,
    );

    const last = writes.slice(2 * third);
    say(`Putting the last ${last.length}, and killing the whole server with SIGKILL in the middle`);
    const resumedBefore = watcher.resumed;
    const killed = await putThrough(writer, last, async () => {
      await server.killEverything();
      return await start();
    });
    found(`killed and started again; all are acknowledged, ${killed.retried} tries were sent again`);
    await watcher.reaches(lastRevision(writer), watchWaitMs);
    found(
      `the watch went on after the last revision it had seen, at connection attempt ${watcher.resumed - resumedBefore}`,
    );

    say(`Putting ${changedAgain} packages once more, with other values`);
    await writer.putAll(packages.slice(0, changedAgain).map(changed));
    found(`acknowledged; the store is at revision ${lastRevision(writer)}`);
    return await verify(store, writer, watcher, oldRevision);
  } finally {
    watcher.stop();
  }
}

/** Puts all pairs, and does a fault once a third of them is acknowledged. */
async function putThrough<Result>(
  writer: Writer,
  writes: readonly Write[],
  fault: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly retried: number }> {
  const retriedBefore = writer.retried;
  const due = Promise.withResolvers<void>();
  const faulted = due.promise.then(fault);
  const [result] = await Promise.all([
    faulted,
    writer.putAll(writes, (count) => {
      if (count >= writes.length / 3) due.resolve();
    }),
  ]);
  return { result, retried: writer.retried - retriedBefore };
}

async function abortLeader(
  server: QuorateProcess,
  tenant: { readonly id: string; readonly key: string },
): Promise<string> {
  const response = await fetch(`${server.ready.faultUrl}/abort`, {
    method: 'POST',
    headers: { 'Quorate-Key': tenant.key, 'Content-Type': 'application/json' },
    body: JSON.stringify({ tenant: tenant.id, replica: 'leader' }),
  });
  const body = await response.text();
  if (!response.ok) throw new Error(`the fault port answered ${response.status}: ${body}`);
  return String(new Map<string, unknown>(Object.entries(Object(JSON.parse(body)))).get('aborted'));
}

async function verify(store: StoreAddress, writer: Writer, watcher: Watcher, oldRevision: number): Promise<number> {
  say('Verifying');
  const { acknowledged } = writer;
  await watcher.reaches(lastRevision(writer), watchWaitMs);
  const now = await list(store, prefix, null);
  const old = await list(store, prefix, oldRevision);
  const checks: readonly (readonly [string, readonly string[]])[] = [
    [
      `every one of ${acknowledged.length} acknowledged puts is there, none applied twice`,
      checkState(acknowledged, now),
    ],
    [
      `the watch has seen each of ${watcher.seen.length} revisions exactly once and in order`,
      [...watcher.violations, ...checkWatch(acknowledged, watcher.seen)],
    ],
    [
      `a list at revision ${oldRevision} shows the ${old.length} pairs of then`,
      checkState(stateAt(acknowledged, oldRevision), old),
    ],
  ];
  let violations = 0;
  for (const [claim, broken] of checks) {
    process.stdout.write(`  ${broken.length === 0 ? 'holds' : 'BROKEN'}: ${claim}\n`);
    for (const violation of broken) process.stdout.write(`    ${violation}\n`);
    violations += broken.length;
  }
  process.stdout.write(`${violations === 0 ? 'No violation.' : `${violations} violations.`}\n`);
  return violations === 0 ? 0 : 1;
}

function changed(pair: { readonly key: string; readonly value: string }, index: number): Write {
  return { key: pair.key, value: `${pair.value} `, writeId: `demo-again-${index}` };
}

function lastRevision(writer: Writer): number {
  return Math.max(...writer.acknowledged.map(({ modRevision }) => modRevision));
}

function say(what: string): void {
  process.stdout.write(`${what}\n`);
}

function found(what: string): void {
  process.stdout.write(`  ${what}\n`);
}

process.exitCode = await main();
