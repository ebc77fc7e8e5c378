// Sends random and mutated requests to a real server, and says what happened. See `help`.

import { setTimeout as sleep } from 'node:timers/promises';
import { commandLine } from '../../src/cli/command-line.ts';
import { freePorts } from '../support/free-ports.ts';
import { wholeNumber } from '../support/option-values.ts';
import { type QuorateProcess, startQuorate } from '../support/quorate-process.ts';
import { growth, inWords as memoryInWords, lookAtMemory, type Memory } from './memory.ts';
import { type Latencies, Neighbour } from './neighbour.ts';
import { send } from './raw-client.ts';
import { Requests, type Secrets } from './requests.ts';

const help = `Usage: npm run fuzz -- [options]

Starts a server, sends random and mutated requests to it, and checks that nothing breaks. A violation is a 5xx answer that no document
names, a connection that the server ends without an answer, an assertion or an exception in the server's log, a leader that was reset, a
store that does not serve afterwards, memory that is not given back, or a p99 of another tenant that is more than twice its p99 without
the load.

  --seconds N   how long requests are sent (600)
  --seed N      of the requests (1)
  --rate N      requests a second (100)
  --help        print this
`;

/**
 * 501 is for what the service does not do, 503 and 504 for no leader or no answer in time, 507 for the alarm NOSPACE,
 * which clients may raise.
 */
const documented5xx: ReadonlySet<number> = new Set([501, 503, 504, 507]);
/**
 * etcd answers failures of its locks and elections, and a password that bcrypt does not take, with code 2, which is
 * status 500.
 */
const etcds500 = /"code":2,/;
const etcdsPaths = /\/v3(?:beta)?\/(?:lock|election|auth\/user)\//;
/** A tenant may raise the alarm CORRUPT in its own store, which then refuses what writes, as etcd does. */
const raisesCorrupt = /ACTIVATE[^]*CORRUPT|CORRUPT[^]*ACTIVATE/;
const corrupt500 = /"message":"etcdserver: corrupt cluster"/;
const inFlightMax = 24;
const tenantLifeMs = 20_000;
const quietMs = 15_000;
const restMs = 30_000;

let victims = 1;

const values = commandLine(help, {
  seconds: { type: 'string', default: '600' },
  seed: { type: 'string', default: '1' },
  rate: { type: 'string', default: '100' },
});
process.exitCode = (await run()) ? 0 : 1;

async function run(): Promise<boolean> {
  const seconds = wholeNumber('--seconds', values.seconds);
  const [inspectorPort = 0] = await freePorts(1);
  const server = await startQuorate({ arguments: ['--inspector-port', String(inspectorPort)] });
  const memory = (): Promise<Memory> => lookAtMemory(`http://127.0.0.1:${inspectorPort}`, server.runtimeProcessId);
  const violations: string[] = [];
  try {
    const neighbour = new Neighbour(server.ready.url, (await provision(server, 'neighbour')).key);
    const requests = new Requests(wholeNumber('--seed', values.seed));
    await sleep(3_000);
    neighbour.take();
    await sleep(quietMs);
    const quiet = neighbour.take();
    const counts = new Map<string, number>();
    const half = { seconds: seconds / 2, counts, violations };
    await attack(server, requests, half);
    const loaded = neighbour.take();
    // Memory that a process takes once, for its heap and for compiled code, is no growth.
    await sleep(restMs);
    const before = await memory();
    neighbour.take();
    await attack(server, requests, half);
    const loadedAgain = neighbour.take();
    await neighbour.stop();
    violations.push(...neighbour.failures.map((failure) => `the other tenant's ${failure}`));
    console.log(`the other tenant without the load: ${inWords(quiet)}`);
    for (const latencies of [loaded, loadedAgain]) {
      console.log(`the other tenant beside the load: ${inWords(latencies)}`);
      if (latencies.p99Ms <= 2 * quiet.p99Ms) continue;
      violations.push(
        `the p99 of the other tenant went from ${quiet.p99Ms.toFixed(1)} to ${latencies.p99Ms.toFixed(1)} ms`,
      );
    }
    for (const [what, count] of [...counts].toSorted(([left], [right]) => left.localeCompare(right)))
      console.log(`${what.padEnd(30)} ${count}`);
    await checkAfterwards(server, { before, memory }, violations);
  } finally {
    await server.dispose();
  }
  for (const violation of new Set(violations)) console.log(`VIOLATION: ${violation}`);
  console.log(violations.length === 0 ? 'no violation' : `${violations.length} violations`);
  return violations.length === 0;
}

type Attack = { readonly seconds: number; readonly counts: Map<string, number>; readonly violations: string[] };

async function attack(
  server: QuorateProcess,
  requests: Requests,
  { seconds, counts, violations }: Attack,
): Promise<void> {
  const spacingMs = 1_000 / wholeNumber('--rate', values.rate);
  const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
  const inFlight = new Set<Promise<void>>();
  const port = Number(new URL(server.ready.url).port);
  const endMs = performance.now() + 1_000 * seconds;
  let victim = await provision(server, `victim-${victims++}`);
  /** The operator's token is among the credentials, so a request may rightly delete the victim. */
  const deleted = new Set<string>();
  const maybeCorrupt = new Set<string>();
  let victimSinceMs = performance.now();
  let nextMs = performance.now();
  while (performance.now() < endMs) {
    if (performance.now() - victimSinceMs > tenantLifeMs || deleted.has(victim.tenant)) {
      if (!deleted.has(victim.tenant)) await checkTenant(server, victim, violations);
      victim = await provision(server, `victim-${victims++}`);
      victimSinceMs = performance.now();
    }
    const { tenant } = victim;
    const { what, bytes, isUpgrade } = requests.next(victim);
    const { random } = requests;
    if (what.includes('/maintenance/alarm') && raisesCorrupt.test(Buffer.from(bytes).toString('latin1')))
      maybeCorrupt.add(tenant);
    const frames = isUpgrade ? Array.from({ length: random.below(6) }, () => requests.frame()) : [];
    const options = { port, patienceMs: 300 + random.below(4_000), frames, isDeaf: random.below(4) === 0 };
    const sent = send(bytes, options).then((answer) => {
      const mayDelete = what.startsWith(`DELETE /v1/tenants/${tenant}`);
      if (mayDelete && (answer.kind !== 'status' || answer.status === 204)) deleted.add(tenant);
      if (answer.kind === 'none') return count('no answer');
      if (answer.kind === 'ended') {
        count('ended without an answer');
        violations.push(`${what} was not answered, and its connection ended`);
        return;
      }
      count(`status ${answer.status}`);
      const isEtcds =
        (etcds500.test(answer.text) && etcdsPaths.test(what)) ||
        (corrupt500.test(answer.text) && maybeCorrupt.has(tenant));
      if (answer.status < 500 || documented5xx.has(answer.status) || (answer.status === 500 && isEtcds)) return;
      violations.push(`${what} answered ${answer.status}: ${answer.text.split('\r\n\r\n')[1]?.slice(0, 200)}`);
    });
    inFlight.add(sent);
    void sent.finally(() => inFlight.delete(sent));
    nextMs += spacingMs;
    if (inFlight.size >= inFlightMax) await Promise.race(inFlight);
    await sleep(Math.max(0, nextMs - performance.now()));
    // If the sender fell behind, it does not catch up in a burst.
    nextMs = Math.max(nextMs, performance.now() - 100);
  }
  await Promise.all(inFlight);
  if (!deleted.has(victim.tenant)) await checkTenant(server, victim, violations);
}

/** If an assertion has reset the leader, the term is higher. Afterwards the tenant is deleted. */
async function checkTenant(server: QuorateProcess, { tenant }: Secrets, violations: string[]): Promise<void> {
  const headers = { Authorization: `Bearer ${server.ready.operatorToken}` };
  const key = await newKey(server, tenant);
  const status = await fetch(`${server.ready.url}/v1/status`, { headers: { Authorization: `Bearer ${key}` } });
  const { raft_term: term = 0 } = (await status.json()) as { raft_term?: number };
  if (status.status !== 200) violations.push(`the status of a victim answered ${status.status}`);
  else if (term > 1) violations.push(`a victim's leader was reset: its group is in term ${term}`);
  const deleted = await fetch(`${server.ready.url}/v1/tenants/${tenant}?force=true`, { method: 'DELETE', headers });
  if (deleted.status !== 204) violations.push(`deleting a victim answered ${deleted.status}`);
}

type Memories = { readonly before: Memory; readonly memory: () => Promise<Memory> };

async function checkAfterwards(
  server: QuorateProcess,
  { before, memory }: Memories,
  violations: string[],
): Promise<void> {
  const first = await provision(server, 'afterwards');
  const headers = { Authorization: `Bearer ${first.key}` };
  const put = await fetch(`${server.ready.url}/v1/kv/k`, { method: 'PUT', body: 'v', headers });
  if (put.status !== 200) violations.push(`a put after the load answered ${put.status}`);
  await sleep(2 * restMs);
  const after = await memory();
  console.log(
    `held by the runtime: ${memoryInWords(before)} after half of the load, ${memoryInWords(after)} after all of it`,
  );
  const grown = growth(before, after);
  if (grown !== null) violations.push(grown);
  const suspicious = server.stderr
    .split('\n')
    .filter((line) => /assert|TypeError|RangeError|ReferenceError|unreachable|internal error/i.test(line));
  for (const line of suspicious.slice(0, 20)) violations.push(`the log says: ${line.slice(0, 300)}`);
}

async function provision(server: QuorateProcess, name: string): Promise<Secrets> {
  const { url, operatorToken } = server.ready;
  const headers = { Authorization: `Bearer ${operatorToken}` };
  const response = await fetch(`${url}/v1/tenants`, { method: 'POST', headers, body: JSON.stringify({ name }) });
  const { id, key } = (await response.json()) as { id: string; key: string };
  if (response.status !== 201) throw new Error(`provisioning answered ${response.status}`);
  return { key, tenant: id, operatorToken };
}

async function newKey(server: QuorateProcess, tenant: string): Promise<string> {
  const { url, operatorToken } = server.ready;
  const headers = { Authorization: `Bearer ${operatorToken}` };
  const made = await fetch(`${url}/v1/tenants/${tenant}/keys`, { method: 'POST', headers, body: '{"role":"admin"}' });
  const answer: { key?: string } = await made.json();
  return answer.key ?? '';
}

function inWords({ count, medianMs, p99Ms, worstMs }: Latencies): string {
  return `${count} calls, median ${medianMs.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)}, worst ${worstMs.toFixed(0)}`;
}
