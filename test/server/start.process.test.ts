import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { isWorkerd } from '../../src/server/workerd-process.ts';
import { checkedFetch } from '../support/checked-fetch.ts';
import { spawnQuorate, startQuorate, type QuorateProcess } from '../support/quorate-process.ts';

/** The bound is a second; a loaded machine is given a little more. */
const orphanMsMax = 2_000;

let parent: string;
const servers: QuorateProcess[] = [];

beforeAll(() => {
  parent = mkdtempSync(join(tmpdir(), 'quorate-start-'));
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.dispose();
});

afterAll(() => {
  rmSync(parent, { recursive: true, force: true });
});

async function start(dataFolder: string, words: readonly string[] = [], environment: Record<string, string> = {}) {
  const server = await startQuorate({ dataFolder, arguments: words, environment });
  servers.push(server);
  return server;
}

/** Runs the command to its end. */
async function run(words: readonly string[]) {
  const child = spawnQuorate(words);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (part) => (stdout += String(part)));
  child.stderr?.on('data', (part) => (stderr += String(part)));
  await once(child, 'close');
  return { code: child.exitCode, stdout, stderr };
}

async function endsWithin(processId: number, ms: number): Promise<boolean> {
  const deadline = Date.now() + ms;
  while (isWorkerd(processId)) {
    if (Date.now() > deadline) return false;
    await sleep(10);
  }
  return true;
}

/** Where the runtime keeps the database of the directory. */
function directoryFile(data: string): string {
  const folder = join(data, 'store');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name));
  const found = files.find((file) => {
    if (!file.endsWith('.sqlite')) return false;
    const database = new DatabaseSync(file);
    const tables = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'd1_migrations'").all();
    database.close();
    return tables.length > 0;
  });
  if (found === undefined) throw new Error(`no directory in ${folder}`);
  return found;
}

function get(server: QuorateProcess, path: string): Promise<Response> {
  return checkedFetch(`${server.ready.url}${path}`, { headers: { 'Quorate-Key': server.ready.tenant.key } });
}

function put(server: QuorateProcess, path: string, body: string): Promise<Response> {
  return checkedFetch(`${server.ready.url}${path}`, {
    method: 'PUT',
    headers: { 'Quorate-Key': server.ready.tenant.key },
    body,
  });
}

describe('starting', () => {
  it('SERVER-START-1: --help and --version print and end with 0', async () => {
    const help = await run(['--help']);
    expect([help.code, help.stderr]).toEqual([0, '']);
    expect(help.stdout).toContain('--fault-port');
    const version = await run(['--version']);
    expect([version.code, version.stderr]).toEqual([0, '']);
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('SERVER-START-2: a wrong command line ends with 2, and one line says why', async () => {
    const { code, stdout, stderr } = await run(['--port', 'eighty']);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^quorate: --port must be a number .*"eighty".*\n$/);
  });

  it('SERVER-START-3: what stands in the way of a start ends with 1, and one line names it', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const newer = join(parent, 'newer');
    const server = await start(join(parent, 'in-use'));
    writeFileSync(join(parent, 'file'), '');
    await (await start(newer)).end('SIGTERM');
    writeFileSync(join(newer, 'format.json'), '{"format":9}');
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [['--data', join(parent, 'a'), '--port', String(port)], /port \d+ on 127\.0\.0\.1 is in use/],
      [['--data', server.dataFolder, '--port', '0'], /data folder .* is in use by another server/],
      [['--data', join(parent, 'file'), '--port', '0'], /cannot write to the data folder .*/],
      [['--data', newer, '--port', '0'], /format 9, made by a newer version/],
      [['--data', join(parent, 'b'), '--port', '0', '--host', '203.0.113.1'], /203\.0\.113\.1 is not an address/],
      [['--data', join(parent, 'c'), '--port', '0', '--fault-port', String(port)], /fault port \d+: it is in use/],
    ];
    for (const [words, reason] of cases) {
      const { code, stdout, stderr } = await run(words);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(reason);
      expect(stderr).toMatch(/^quorate: [^\n]*\n$/);
    }
    // The server that was there first goes on.
    expect((await put(server, '/v1/kv/still', 'here')).status).toBe(200);
    taken.close();
  });

  it('SERVER-START-4: a second start finds the same tenant, the same key, the same token and the data', async () => {
    const data = join(parent, 'twice');
    const first = await start(data);
    expect((await put(first, '/v1/kv/a', '1')).status).toBe(200);
    await first.end('SIGINT');
    const second = await start(data);
    expect(second.ready.tenant).toEqual(first.ready.tenant);
    expect(second.ready.operatorToken).toBe(first.ready.operatorToken);
    const answer = await get(second, '/v1/kv/a');
    expect([answer.status, await answer.text()]).toEqual([200, '1']);
    expect((statSync(join(data, 'tenant.json')).mode & 0o777).toString(8)).toBe('600');
  });

  it('SERVER-START-5: a first tenant whose key was lost before it was kept gets another one', async () => {
    const data = join(parent, 'lost-key');
    const first = await start(data);
    await put(first, '/v1/kv/a', '1');
    await first.end('SIGTERM');
    rmSync(join(data, 'tenant.json'));
    const second = await start(data);
    expect(second.ready.tenant.id).toBe(first.ready.tenant.id);
    expect(second.ready.tenant.key).not.toBe(first.ready.tenant.key);
    expect(await (await get(second, '/v1/kv/a')).text()).toBe('1');
  });

  it('SERVER-SCHEDULE-1: a tenant that became due while the server was off is wiped at the next start', async () => {
    const data = join(parent, 'due');
    const first = await start(data);
    const headers = { Authorization: `Bearer ${first.ready.operatorToken}` };
    const path = '/v1/tenants';
    const made = await checkedFetch(`${first.ready.url}${path}`, { method: 'POST', headers, body: '{"name":"due"}' });
    const { id }: { id: string } = JSON.parse(await made.text());
    const deleted = await checkedFetch(`${first.ready.url}${path}/${id}`, { method: 'DELETE', headers });
    expect(deleted.status).toBe(200);
    await first.end('SIGTERM');
    // A week goes by.
    const directory = new DatabaseSync(directoryFile(data));
    directory.prepare('UPDATE tenants SET wipe_at_ms = 1 WHERE id = ?').run(id);
    directory.close();
    const second = await start(data);
    const shown = async (): Promise<number> =>
      (await checkedFetch(`${second.ready.url}${path}/${id}`, { headers })).status;
    await expect.poll(shown, { timeout: 20_000 }).toBe(404);
  });

  it("SERVER-START-6: the operator's token of the environment opens the operator's calls", async () => {
    const server = await start(join(parent, 'token'), [], {
      QUORATE_OPERATOR_TOKEN: 'a-token-of-my-own-of-30-letters',
    });
    expect(server.ready.operatorToken).toBe('a-token-of-my-own-of-30-letters');
    const tenants = (token: string) =>
      checkedFetch(`${server.ready.url}/v1/tenants`, { headers: { Authorization: `Bearer ${token}` } });
    expect((await tenants('a-token-of-my-own-of-30-letters')).status).toBe(200);
    expect((await tenants('another')).status).toBe(401);
  });

  it('SERVER-START-7: a person is told the address, the key and three lines to try', async () => {
    const child = spawnQuorate(['--data', join(parent, 'person'), '--port', '0']);
    let stdout = '';
    for await (const part of child.stdout ?? []) {
      stdout += String(part);
      if (stdout.includes('Ctrl-C')) break;
    }
    child.kill('SIGTERM');
    await once(child, 'exit');
    expect(stdout).toMatch(/serves at http:\/\/127\.0\.0\.1:\d+\n/);
    expect(stdout.match(/^ {2}curl .*\/v1\/(kv|watch)/gm)).toHaveLength(3);
    expect(stdout).toMatch(/key of "default" +qrt_\w+/);
    expect(stdout).toContain(`stay in ${join(parent, 'person')}.`);
  });
});

describe('ending', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'SERVER-END-1: %s ends it cleanly: 0, nothing said',
    async (signal) => {
      const server = await start(join(parent, signal));
      const workerd = server.runtimeProcessId;
      expect(isWorkerd(workerd)).toBe(true);
      expect(await server.end(signal)).toEqual({ code: 0, signal: null });
      expect(server.stderr).toBe('');
      expect(await endsWithin(workerd, orphanMsMax)).toBe(true);
    },
  );

  it.each(['SIGKILL', 'SIGQUIT', 'SIGABRT'] as const)(
    'SERVER-END-2: no workerd outlives a server ended by %s',
    async (signal) => {
      const server = await start(join(parent, signal));
      const workerd = server.runtimeProcessId;
      expect(isWorkerd(workerd)).toBe(true);
      await server.end(signal);
      expect(await endsWithin(workerd, orphanMsMax)).toBe(true);
    },
  );

  it('SERVER-END-3: where workerd dies, the server says so and ends with 1', async () => {
    const server = await start(join(parent, 'workerd-dies'));
    const ended = once(server.process, 'exit');
    process.kill(server.runtimeProcessId, 'SIGKILL');
    await ended;
    expect(server.process.exitCode).toBe(1);
    expect(server.stderr).toMatch(/^quorate: workerd, the runtime, ended unexpectedly; [^\n]*start again\n$/);
    expect(await endsWithin(server.runtimeProcessId, orphanMsMax)).toBe(true);
  });
});
