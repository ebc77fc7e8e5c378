// Fresh stores from a real etcd: one process with one member and an empty folder for each, on loopback ports of their own.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Store, StoreSource } from './store.ts';

const startWaitMs = 20_000;
/** A port that was free may be taken by the time etcd asks for it. */
const startTriesMax = 3;

export function etcdSource(program: string): StoreSource {
  return {
    name: program,
    fresh: async () => {
      for (let tried = 1; ; tried++) {
        try {
          return await startEtcd(program);
        } catch (error) {
          if (tried === startTriesMax) throw error;
        }
      }
    },
    close: () => Promise.resolve(),
  };
}

async function startEtcd(program: string): Promise<Store> {
  const folder = mkdtempSync(join(tmpdir(), 'quorate-etcd-'));
  const [clientPort, peerPort] = await freePorts(2);
  const client = `http://127.0.0.1:${clientPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  const etcd = spawn(
    program,
    [
      ['--name', 'default'],
      ['--data-dir', join(folder, 'data')],
      ['--listen-client-urls', client],
      ['--advertise-client-urls', client],
      ['--listen-peer-urls', peer],
      ['--initial-advertise-peer-urls', peer],
      ['--initial-cluster', `default=${peer}`],
      ['--log-level', 'fatal'],
    ].flat(),
    { stdio: 'ignore' },
  );
  const dispose = async (): Promise<void> => {
    await end(etcd);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await healthy(client, etcd);
  } catch (error) {
    await dispose();
    throw error;
  }
  return { url: new URL(client), headers: {}, dispose };
}

async function healthy(url: string, etcd: ChildProcess): Promise<void> {
  const failures: Error[] = [];
  etcd.once('error', (error) => failures.push(error));
  const deadline = Date.now() + startWaitMs;
  while (Date.now() < deadline && failures.length === 0 && etcd.exitCode === null) {
    const response = await fetch(`${url}/health`).catch(() => null);
    if (response?.ok === true) return;
    await sleep(50);
  }
  throw failures[0] ?? new Error(`etcd at ${url} did not become healthy`);
}

async function end(etcd: ChildProcess): Promise<void> {
  if (etcd.pid === undefined || etcd.exitCode !== null || etcd.signalCode !== null) return;
  const ended = once(etcd, 'exit');
  etcd.kill('SIGKILL');
  await ended;
}

/** Ports that nobody listens on at the moment; all are held until all are known, so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    // A server that listens on TCP has an address of this shape.
    ports.push((server.address() as AddressInfo).port);
  }
  for (const server of servers) {
    server.close();
    await once(server, 'close');
  }
  return ports;
}
