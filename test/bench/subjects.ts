// The sides: Quorate as `npm start` runs it, with three replicas in one process; another checkout of it, to compare two
// states of the code; and etcd, with three members on loopback. All keep their data in fresh folders on the same disk.

import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { startEtcd } from '../support/etcd-cluster.ts';
import { startQuorate } from '../support/quorate-process.ts';
import { post, type Target } from './workload.ts';

export type Subject = Target & {
  readonly name: string;
  readonly kind: 'quorate' | 'etcd';
  readonly version: string;
  /** How many clients watch it over HTTP/1.1. */
  readonly watches: 'websocket' | 'stream';
  /** The memory of all its processes. */
  readonly processIds: () => readonly number[];
  /** Where it keeps the data of all its replicas. */
  readonly dataFolder: string;
  /** Another one of the same kind, on an empty folder. */
  readonly startAnother: () => Promise<Subject>;
  readonly dispose: () => Promise<void>;
};

export type QuorateOptions = {
  readonly name: string;
  /** Arguments beside those that every server is started with. */
  readonly arguments: readonly string[];
  /** Another checkout, with its packages installed. Null: this checkout. */
  readonly checkout: string | null;
};

export async function quorateSubject(options: QuorateOptions): Promise<Subject> {
  const { name, arguments: words, checkout } = options;
  const folder = resolve(checkout ?? join(import.meta.dirname, '../..'));
  const server = await startQuorate({ arguments: words, main: join(folder, 'src/server/main.ts') });
  return {
    name,
    kind: 'quorate',
    version: commitOf(folder),
    url: server.ready.url,
    headers: { 'Quorate-Key': server.ready.tenant.key },
    watches: 'websocket',
    processIds: () => [server.process.pid ?? 0, server.runtimeProcessId],
    dataFolder: server.dataFolder,
    startAnother: () => quorateSubject(options),
    dispose: () => server.dispose(),
  };
}

export async function etcdSubject(program: string): Promise<Subject> {
  const cluster = await startEtcd(program, 3);
  try {
    return {
      name: 'etcd',
      kind: 'etcd',
      version: firstLineOf(program, ['--version'], '.').replace(/^etcd Version: */, ''),
      url: await leaderOf(cluster.urls),
      headers: {},
      watches: 'stream',
      processIds: () => cluster.processIds,
      dataFolder: cluster.folder,
      startAnother: () => etcdSubject(program),
      dispose: cluster.dispose,
    };
  } catch (error) {
    await cluster.dispose();
    throw error;
  }
}

/** The leader is asked, because it answers fastest: a follower would hand each write on. */
async function leaderOf(urls: readonly string[]): Promise<string> {
  for (const url of urls) {
    const status = await post({ url, headers: {} }, '/v3/maintenance/status', {});
    const members = new Map<string, unknown>(Object.entries(Object(status)));
    const header = new Map<string, unknown>(Object.entries(Object(members.get('header'))));
    if (members.get('leader') === header.get('member_id')) return url;
  }
  throw new Error('no member of etcd says that it leads');
}

function commitOf(folder: string): string {
  return firstLineOf('git', ['describe', '--always', '--dirty'], folder);
}

/** "unknown": the program is not there, or fails. */
function firstLineOf(program: string, words: readonly string[], folder: string): string {
  try {
    const text = execFileSync(program, words, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return text.split('\n')[0] ?? 'unknown';
  } catch {
    return 'unknown';
  }
}
