// One tenant's group on a local server whose Worker counts what would be billed (`worker.ts`), without the process in
// front, which Cloudflare does not have. Its clients are those of the benchmark.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { DataFolder } from '../../src/server/data-folder.ts';
import { ensureFirstTenant } from '../../src/server/first-tenant.ts';
import { applyMigrations } from '../../src/server/migrations.ts';
import { startRuntime } from '../../src/server/runtime.ts';
import { bundleWorker } from '../../src/server/worker-bundle.ts';
import { readWorkerSettings } from '../../src/server/worker-settings.ts';
import { rawRequest, RawConnection } from '../bench/raw-http.ts';
import { callOf, Session } from '../bench/session-load.ts';
import { base64, post, type Target, valueOf } from '../bench/workload.ts';
import { type Counts, countsPath } from './counts.ts';

/** Longer than a flush and its ticks take, and shorter than until the group rests. */
const flushedMs = 1_000;
const restWaitMs = 30_000;
const putsOfTxn = 128;

const value = valueOf({ valueBytes: 100 }).toString('base64');

export type Work = {
  readonly operation: 'put' | 'range';
  readonly keys: number;
  readonly clients: number;
  readonly calls: number;
};

export class CountedServer {
  readonly target: Target;
  readonly #close: () => Promise<void>;

  private constructor(target: Target, close: () => Promise<void>) {
    this.target = target;
    this.#close = close;
  }

  static async start(): Promise<CountedServer> {
    const path = mkdtempSync(join(tmpdir(), 'quorate-cost-'));
    const folder = await DataFolder.open(path);
    const secrets = folder.secrets(undefined);
    const runtime = await startRuntime({
      script: await bundleWorker(fileURLToPath(import.meta.resolve('./worker.ts'))),
      settings: readWorkerSettings(fileURLToPath(import.meta.resolve('../../wrangler.toml'))),
      texts: { OPERATOR_TOKEN: secrets.operatorToken, SERVICE_SECRET: secrets.serviceSecret },
      storePath: folder.storePath,
      runtimePidFile: folder.runtimePidFile,
      temporaryPath: folder.temporaryPath,
      host: '127.0.0.1',
      port: 0,
      inspectorPort: null,
      onDeath: () => {
        throw new Error('workerd ended');
      },
    });
    await applyMigrations(runtime.directory, fileURLToPath(import.meta.resolve('../../migrations')));
    const tenant = await ensureFirstTenant({ url: runtime.url, operatorToken: secrets.operatorToken }, folder);
    const target = { url: runtime.url.href.replace(/\/$/, ''), headers: { 'Quorate-Key': tenant.key } };
    return new CountedServer(target, async () => {
      await runtime.close();
      folder.close();
      rmSync(path, { recursive: true, force: true });
    });
  }

  close(): Promise<void> {
    return this.#close();
  }

  async counts(): Promise<Counts> {
    return (await (await fetch(`${this.target.url}${countsPath}`)).json()) as Counts;
  }

  /** All that was written has its rows. */
  async flushed(): Promise<void> {
    await sleep(flushedMs);
  }

  async asleep(): Promise<void> {
    for (const endMs = Date.now() + restWaitMs; Date.now() < endMs; await sleep(100)) {
      if ((await this.counts()).clocks === 0) return;
    }
    throw new Error('the group does not rest');
  }

  async fill(keys: number): Promise<void> {
    for (let first = 0; first < keys; first += putsOfTxn) {
      const success = Array.from({ length: Math.min(putsOfTxn, keys - first) }, (_, n) => ({
        request_put: { key: keyAt(first + n), value },
      }));
      await post(this.target, '/v3/kv/txn', { success });
    }
  }

  async byHttp({ operation, keys, clients, calls }: Work): Promise<void> {
    const connections = await Promise.all(Array.from({ length: clients }, () => RawConnection.open(this.target.url)));
    let begun = 0;
    const one = async (connection: RawConnection): Promise<void> => {
      while (begun++ < calls) {
        const key = randomKey(keys);
        const body = JSON.stringify(operation === 'put' ? { key, value } : { key });
        const path = `/v3/kv/${operation}`;
        const { status } = await connection.ask(
          rawRequest(this.target.url, { method: 'POST', path, headers: this.target.headers, body }),
        );
        if (status !== 200) throw new Error(`${path} answered ${status}`);
      }
    };
    await Promise.all(connections.map(one));
    for (const connection of connections) connection.end();
  }

  async bySession({ operation, keys, clients, calls }: Work): Promise<void> {
    const session = await Session.withLeader(this.target);
    let begun = 0;
    const one = async (): Promise<void> => {
      while (begun++ < calls) {
        const answer = await session.ask(callOf(operation, Buffer.from(randomKey(keys), 'base64')));
        if (answer.kind !== 'answered') throw new Error(`a call by session came to ${answer.kind}`);
      }
    };
    await Promise.all(Array.from({ length: clients }, one));
    session.close();
  }
}

export function keyAt(place: number): string {
  return base64(`cost/${String(place).padStart(6, '0')}`);
}

function randomKey(keys: number): string {
  return keyAt(Math.floor(Math.random() * keys));
}
