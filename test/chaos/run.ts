// One run against a real server: seeded clients and watchers on one tenant while a nemesis is at work; then all is healed, and what
// everybody was told is checked.

import { writeFileSync } from 'node:fs';
import { type HistoryEntry, entryInWords, linearize } from '../sim/linearizability.ts';
import { Random } from '../sim/random.ts';
import { type QuorateProcess, startQuorate } from '../support/quorate-process.ts';
import { Caller } from './caller.ts';
import { Nemesis } from './nemesis.ts';
import { porcupineJson } from './porcupine.ts';
import { checkTruth, Watching } from './watching.ts';

export type ChaosOptions = { readonly seed: number; readonly seconds: number; readonly historyFile: string | null };
export type ChaosReport = {
  readonly faults: readonly string[];
  readonly counts: ReadonlyMap<string, number>;
  readonly operations: number;
  readonly longestGapMs: number;
  readonly revision: number;
};

const nowMs = (): number => performance.now();

const callers = 6;
const watchers = 3;
const catchUpMs = 30_000;

export async function chaos({ seed, seconds, historyFile }: ChaosOptions): Promise<ChaosReport> {
  const random = new Random(seed);
  const counts = new Map<string, number>();
  const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
  let server: QuorateProcess = await startQuorate({ arguments: ['--fault-port', '0'] });
  try {
    const { tenant } = server.ready;
    const store = () => ({ url: server.ready.url, key: tenant.key });
    const restart = async (): Promise<void> => {
      const { dataFolder } = server;
      const { port } = new URL(server.ready.url);
      await server.killEverything();
      const ownsFolder = server;
      server = await startQuorate({ arguments: ['--fault-port', '0', '--port', port], dataFolder });
      first ??= ownsFolder;
    };
    const made = (number: number) => new Caller({ number, random: random.fork(), store, nowMs, count });
    const clients = Array.from({ length: callers }, (_, place) => made(place + 1));
    const watching = Array.from({ length: watchers }, () => new Watching(store, random.fork(), 2));
    const target = { faultUrl: () => server.ready.faultUrl ?? '', tenant: () => tenant, restart };
    const nemesis = new Nemesis(target, random.fork(), count);
    const endMs = nowMs() + seconds * 1_000;
    const isOver = (): boolean => nowMs() >= endMs;
    await Promise.all([
      nemesis.run(isOver),
      ...clients.map((client) => client.run(isOver)),
      ...watching.map((one) => one.run(isOver)),
    ]);
    await nemesis.heal();

    const truth = new Watching(store, random.fork(), 2);
    const revision = await lastRevision(store());
    const deadlineMs = Date.now() + catchUpMs;
    await Promise.all([truth, ...watching].map((one) => one.catchUp(revision, deadlineMs)));
    const history = clients.flatMap(({ entries }) => entries);
    if (historyFile !== null) writeFileSync(historyFile, porcupineJson(history));
    const faults = [
      ...linearizability(history),
      ...checkTruth(truth.revisions, revision),
      ...watching.flatMap((one) => one.check(truth.revisions)),
      ...watching
        .filter(({ through }) => through < revision)
        .map(({ through }) => `a watcher stays at ${through} of ${revision}`),
      ...resurrected(
        clients.flatMap(({ refused }) => refused),
        truth.revisions,
      ),
    ];
    return { faults, counts, operations: history.length, longestGapMs: longestGap(history), revision };
  } finally {
    await server.dispose();
    await first?.dispose();
  }
}

/** The process whose folder all others used: it goes with it. */
let first: QuorateProcess | null = null;

async function lastRevision({ url, key }: { readonly url: string; readonly key: string }): Promise<number> {
  const response = await fetch(`${url}/v1/kv?prefix=&count_only=true`, { headers: { 'Quorate-Key': key } });
  const { revision } = (await response.json()) as { revision: number };
  return revision;
}

function linearizability(history: readonly HistoryEntry[]): string[] {
  const verdict = linearize(history, 200 * history.length);
  if (verdict.kind === 'linearizable') return [];
  if (verdict.kind === 'undecided') return ['linearizability: the search was given up'];
  const next = verdict.stuck.slice(0, 5).map(entryInWords);
  return [`not linearizable after ${verdict.ordered} operations; next: ${next.join('; ')}`];
}

/** What was answered as failed must not appear later. */
function resurrected(refused: readonly string[], truth: ReadonlyMap<number, string>): string[] {
  const all = [...truth.values()].join(' ');
  return refused.filter((name) => new RegExp(`=${name}\\b`).test(all)).map((name) => `${name} was refused, and done`);
}

/** The longest time in which no write was acknowledged. */
function longestGap(history: readonly HistoryEntry[]): number {
  const acknowledged = history
    .filter(({ told, action }) => told !== null && action.kind === 'write')
    .map(({ answeredMs }) => answeredMs)
    .sort((left, right) => left - right);
  let longest = 0;
  for (const [place, atMs] of acknowledged.entries())
    longest = Math.max(longest, atMs - (acknowledged[place - 1] ?? atMs));
  return Math.round(longest);
}
