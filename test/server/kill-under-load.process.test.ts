import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkedFetch } from '../support/checked-fetch.ts';
import { startQuorate, type QuorateProcess } from '../support/quorate-process.ts';

const writers = 16;
const loadMs = 1_500;

type Write = { readonly key: string; readonly modRevision: number | null };

let data: string;
const servers: QuorateProcess[] = [];

beforeAll(() => {
  data = mkdtempSync(join(tmpdir(), 'quorate-kill-'));
});

afterAll(async () => {
  for (const server of servers) await server.end('SIGTERM');
  rmSync(data, { recursive: true, force: true });
});

async function start(): Promise<QuorateProcess> {
  const server = await startQuorate({ dataFolder: data });
  servers.push(server);
  return server;
}

/** Puts a new key each time, once, until the server is gone. The last write of each writer is not acknowledged. */
async function write(server: QuorateProcess, writer: number, writes: Write[]): Promise<void> {
  for (let count = 0; ; count++) {
    const key = `w${writer}/${count}`;
    try {
      const response = await fetch(`${server.ready.url}/v1/kv/${key}`, {
        method: 'PUT',
        headers: { 'Quorate-Key': server.ready.tenant.key },
        body: key,
      });
      const answer = new Map<string, unknown>(Object.entries(Object(await response.json())));
      writes.push({ key, modRevision: response.ok ? Number(answer.get('mod_revision')) : null });
    } catch {
      writes.push({ key, modRevision: null });
      return;
    }
  }
}

async function find(server: QuorateProcess, key: string) {
  const response = await checkedFetch(`${server.ready.url}/v1/kv/${key}`, {
    headers: { 'Quorate-Key': server.ready.tenant.key },
  });
  const body = await response.text();
  return {
    status: response.status,
    body,
    modRevision: Number((response.headers.get('ETag') ?? '').replaceAll('"', '')),
    version: Number(response.headers.get('Quorate-Version')),
    revision: Number(response.headers.get('Quorate-Revision')),
  };
}

describe('a crash of everything', () => {
  it('SERVER-DURABLE-1: after SIGKILL under load every acknowledged write is there, and none was applied twice', async () => {
    const first = await start();
    const writes: Write[] = [];
    const load = Promise.all(Array.from({ length: writers }, (_, writer) => write(first, writer, writes)));
    await sleep(loadMs);
    await first.killEverything();
    await load;
    const acknowledged = writes.filter(({ modRevision }) => modRevision !== null);
    expect(acknowledged.length).toBeGreaterThan(writers);

    const second = await start();
    expect(second.ready.tenant).toEqual(first.ready.tenant);
    let applied = 0;
    for (const { key, modRevision } of writes) {
      const found = await find(second, key);
      if (modRevision === null && found.status === 404) continue;
      expect(found).toMatchObject({ status: 200, body: key, version: 1 });
      if (modRevision !== null) expect(found.modRevision).toBe(modRevision);
      applied++;
    }
    // Each write that is there made one revision after the store's first, and nothing else made a revision.
    expect((await find(second, writes[0]?.key ?? '')).revision).toBe(applied + 1);
  });
});
