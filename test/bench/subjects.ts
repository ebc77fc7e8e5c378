// The two sides: Quorate as `npm start` runs it, three replicas in one process; and etcd, three members on loopback.
// Both keep their data in fresh folders on the same disk.

import { startEtcd } from '../support/etcd-cluster.ts';
import { startQuorate } from '../support/quorate-process.ts';
import type { Target } from './load.ts';

export type Subject = Target & { readonly name: string; readonly dispose: () => Promise<void> };

export async function quorateSubject(words: readonly string[]): Promise<Subject> {
  const server = await startQuorate({ arguments: words });
  return {
    name: 'quorate',
    url: server.ready.url,
    headers: { 'Quorate-Key': server.ready.tenant.key },
    dispose: () => server.dispose(),
  };
}

export async function etcdSubject(program: string): Promise<Subject> {
  const cluster = await startEtcd(program, 3);
  try {
    return { name: 'etcd', url: await leaderOf(cluster.urls), headers: {}, dispose: cluster.dispose };
  } catch (error) {
    await cluster.dispose();
    throw error;
  }
}

/** The leader answers fastest: a follower would hand each write on. */
async function leaderOf(urls: readonly string[]): Promise<string> {
  for (const url of urls) {
    const response = await fetch(`${url}/v3/maintenance/status`, { method: 'POST', body: '{}' });
    const status: unknown = await response.json();
    const members = new Map<string, unknown>(Object.entries(Object(status)));
    const header = new Map<string, unknown>(Object.entries(Object(members.get('header'))));
    if (members.get('leader') === header.get('member_id')) return url;
  }
  throw new Error('no member of etcd says that it leads');
}
