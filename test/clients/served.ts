// A store for a client's program to use, of Quorate or of a real etcd, that is killed and started again on its port.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../support/free-ports.ts';
import { startQuorate } from '../support/quorate-process.ts';

export type Served = {
  /** host:port */
  readonly address: string;
  /** Kills every process of it with SIGKILL, and returns when it serves again. */
  readonly killAndStart: () => Promise<void>;
  readonly dispose: () => Promise<void>;
};

export async function servedByQuorate(): Promise<Served> {
  const [port = 0, etcdPort = 0] = await freePorts(2);
  const words = ['--port', String(port), '--etcd', String(etcdPort)];
  const first = await startQuorate({ arguments: words });
  const { dataFolder } = first;
  let server = first;
  return {
    address: `127.0.0.1:${etcdPort}`,
    killAndStart: async () => {
      await server.killEverything();
      server = await startQuorate({ arguments: words, dataFolder });
    },
    dispose: async () => {
      await server.dispose();
      await first.dispose();
    },
  };
}

export async function servedByEtcd(program: string): Promise<Served> {
  const folder = mkdtempSync(join(tmpdir(), 'quorate-clients-'));
  const [client = 0, peer = 0] = await freePorts(2);
  const address = `127.0.0.1:${client}`;
  const [clientUrl, peerUrl] = [`http://${address}`, `http://127.0.0.1:${peer}`];
  const words = [
    ['--data-dir', folder, '--log-level', 'fatal', '--name', 'one', '--initial-cluster', `one=${peerUrl}`],
    ['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
    ['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
  ].flat();
  const start = async (): Promise<ChildProcess> => {
    const etcd = spawn(program, words, { stdio: 'ignore' });
    while (!(await isHealthy(clientUrl))) {
      if (etcd.exitCode !== null) throw new Error(`etcd ended with ${etcd.exitCode}`);
      await sleep(50);
    }
    return etcd;
  };
  let etcd = await start();
  const kill = async (): Promise<void> => {
    const ended = once(etcd, 'exit');
    etcd.kill('SIGKILL');
    await ended;
  };
  return {
    address,
    killAndStart: async () => {
      await kill();
      etcd = await start();
    },
    dispose: async () => {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function isHealthy(url: string): Promise<boolean> {
  const response = await fetch(`${url}/health`).catch(() => null);
  return response?.ok === true;
}
