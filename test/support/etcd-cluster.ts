// A real etcd on loopback with default settings: one or three members, each a process with an empty folder of its own.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from './free-ports.ts';

const startWaitMs = 20_000;
/** A port that was free may be taken by the time etcd asks for it. */
const startTriesMax = 3;

export type EtcdCluster = {
  /** The client URL of each member. */
  readonly urls: readonly string[];
  readonly processIds: readonly number[];
  /** Where the members keep their data. */
  readonly folder: string;
  readonly dispose: () => Promise<void>;
};

/** Resolves when every member is healthy, which needs a leader. */
export async function startEtcd(program: string, memberCount: number): Promise<EtcdCluster> {
  for (let tried = 1; ; tried++) {
    try {
      return await tryToStart(program, memberCount);
    } catch (error) {
      if (tried === startTriesMax) throw error;
    }
  }
}

type MemberPlan = { readonly name: string; readonly client: string; readonly peer: string };

async function tryToStart(program: string, memberCount: number): Promise<EtcdCluster> {
  const folder = mkdtempSync(join(tmpdir(), 'quorate-etcd-'));
  const ports = await freePorts(memberCount * 2);
  const members = Array.from({ length: memberCount }, (_, index) => ({
    name: `member${index}`,
    client: `http://127.0.0.1:${ports[index * 2]}`,
    peer: `http://127.0.0.1:${ports[index * 2 + 1]}`,
  }));
  const cluster = members.map(({ name, peer }) => `${name}=${peer}`).join(',');
  const processes = members.map((member) => startMember(program, member, { folder, cluster }));
  const dispose = async (): Promise<void> => {
    await Promise.all(processes.map(end));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await Promise.all(members.map(async ({ client }, index) => healthy(client, processes[index])));
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    urls: members.map(({ client }) => client),
    processIds: processes.flatMap(({ pid }) => pid ?? []),
    folder,
    dispose,
  };
}

function startMember(program: string, member: MemberPlan, shared: { folder: string; cluster: string }): ChildProcess {
  const settings = [
    ['--name', member.name],
    ['--data-dir', join(shared.folder, member.name)],
    ['--listen-client-urls', member.client],
    ['--advertise-client-urls', member.client],
    ['--listen-peer-urls', member.peer],
    ['--initial-advertise-peer-urls', member.peer],
    ['--initial-cluster', shared.cluster],
    ['--log-level', 'fatal'],
  ];
  return spawn(program, settings.flat(), { stdio: 'ignore' });
}

async function healthy(url: string, etcd: ChildProcess | undefined): Promise<void> {
  const failures: Error[] = [];
  etcd?.once('error', (error) => failures.push(error));
  etcd?.once('exit', (code, signal) => failures.push(new Error(`etcd ended with ${signal ?? code}`)));
  const deadline = Date.now() + startWaitMs;
  while (Date.now() < deadline && failures.length === 0) {
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
