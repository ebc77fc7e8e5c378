// One run against a real server: seeded clients and watchers work on one tenant while a nemesis is at work. Then
// everything is healed, and what the clients and watchers were told is checked.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Operation, Violation } from '../sim/checkers/history.ts';
import { Random } from '../support/random.ts';
import { type QuorateProcess, startQuorate } from '../support/quorate-process.ts';
import { ChaosClient, listedPrefix } from './client.ts';
import { allFaults, Nemesis, shortFaults } from './nemesis.ts';
import { Recorder } from './recorder.ts';
import { type Evidence, judge, listAll, revisionsOf, writeLast } from './verdict.ts';
import { transports } from './watch-transport.ts';
import { ChaosWatcher, type WatchShape } from './watcher.ts';

export type ChaosOptions = { readonly seed: number; readonly seconds: number };

export type ChaosReport = {
  readonly history: readonly Operation[];
  readonly violations: readonly Violation[];
  readonly counts: ReadonlyMap<string, number>;
  readonly revisions: number;
  readonly events: number;
  readonly longestGap: { readonly fromMs: number; readonly ms: number };
  /** The lines that the server printed, apart from those that it should print. */
  readonly stderr: string;
};

const clientCount = 10;
const prefixes = ['r/', 'p/', listedPrefix] as const;
/** Shorter runs do without the faults that take 10 s and more. */
const longFaultsFromSeconds = 45;
const catchUpMs = 60_000;

export async function chaos({ seed, seconds }: ChaosOptions): Promise<ChaosReport> {
  const dataFolder = mkdtempSync(join(tmpdir(), 'quorate-chaos-'));
  const servers: QuorateProcess[] = [];
  const start = async (port: string): Promise<QuorateProcess> => {
    const server = await startQuorate({ dataFolder, arguments: ['--port', port, '--fault-port', '0'] });
    servers.push(server);
    return server;
  };
  try {
    const run = new Run({ seed, seconds }, await start('0'), start);
    return { ...(await run.run()), stderr: servers.map(({ stderr }) => stderr).join('') };
  } finally {
    for (const server of servers) await server.end('SIGTERM');
    rmSync(dataFolder, { recursive: true, force: true });
  }
}

class Run {
  readonly #seconds: number;
  readonly #recorder = new Recorder();
  readonly #random: Random;
  readonly #start: (port: string) => Promise<QuorateProcess>;
  readonly #clients: readonly ChaosClient[];
  readonly #watchers: readonly ChaosWatcher[];
  readonly #nemesis: Nemesis;
  #server: QuorateProcess;
  #isPaused = false;

  constructor(
    { seed, seconds }: ChaosOptions,
    server: QuorateProcess,
    start: (port: string) => Promise<QuorateProcess>,
  ) {
    this.#seconds = seconds;
    this.#random = new Random(seed);
    this.#server = server;
    this.#start = start;
    this.#clients = Array.from({ length: clientCount }, (_, place) => this.#client(place));
    this.#watchers = this.#someWatchers();
    this.#nemesis = this.#makeNemesis();
  }

  async run(): Promise<Omit<ChaosReport, 'stderr'>> {
    const recorder = this.#recorder;
    const endMs = recorder.nowMs + this.#seconds * 1_000;
    const isOver = (): boolean => recorder.nowMs >= endMs;
    await Promise.all([
      this.#nemesis.run(isOver),
      Promise.all(this.#clients.map((client) => client.run(isOver))).then(() => recorder.ends()),
      ...this.#watchers.map((watcher) => watcher.run(isOver)),
    ]);
    await this.#nemesis.heal();
    const evidence = await this.#gather();
    const unexpected = recorder.unexpected.map((what) => ({ rule: 'answers of the API', what, operations: [] }));
    return {
      history: recorder.history,
      violations: [...unexpected, ...judge(evidence)],
      counts: recorder.counts,
      revisions: evidence.revisions.length,
      events: evidence.watched.reduce(
        (sum, { connections }) => sum + connections.reduce((part, { frames }) => part + eventsIn(frames), 0),
        0,
      ),
      longestGap: recorder.longestGap,
    };
  }

  async #gather(): Promise<Evidence> {
    const recorder = this.#recorder;
    const last = await writeLast(recorder, this.#store, prefixes);
    const truth = this.#watcher({ name: 'the history', transport: 'ndjson', prefix: '', previous: true, start: 1 });
    if (!(await truth.reaches(last, catchUpMs)))
      recorder.unexpected.push(`a watch from revision 1 does not reach ${last}`);
    for (const watcher of this.#watchers) {
      const { prefix } = watcher;
      // The last write under each prefix was delivered in its order among the last events.
      const own = prefix === '' ? last : last - (prefixes.length - 1 - prefixes.findIndex((each) => each === prefix));
      if (!(await watcher.reaches(own, catchUpMs))) recorder.count('watchers that did not catch up');
      recorder.counts.set('watch connections', (recorder.counts.get('watch connections') ?? 0) + watcher.connections);
    }
    const watched = [truth, ...this.#watchers].map((watcher) => watcher.watched(last));
    const copies = this.#watchers.flatMap(({ name, prefix, copy }) => (copy === null ? [] : [{ name, prefix, copy }]));
    return {
      history: recorder.history,
      revisions: revisionsOf(truth.watched(last)),
      watched,
      copies,
      lists: await this.#lists(),
    };
  }

  /** The lists of several leaders in turn: of the first one, and of each one that takes over when it crashes. */
  async #lists(): Promise<Evidence['lists']> {
    const lists: Evidence['lists'][number][] = [];
    for (let round = 0; round < 3; round++) {
      const { leader } = await this.#nemesis.group();
      lists.push({ leader, ...(await listAll(this.#store())) });
      await this.#nemesis.abort(leader);
      await sleep(100);
    }
    return lists;
  }

  readonly #store = () => ({ url: this.#server.ready.url, key: this.#server.ready.tenant.key });

  #client(place: number): ChaosClient {
    return new ChaosClient({
      recorder: this.#recorder,
      random: this.#random.fork(),
      store: this.#store,
      repeats: place % 2 === 0,
      isPaused: () => this.#isPaused,
    });
  }

  /** Each transport is combined with each way to begin, for all keys and for parts of them. */
  #someWatchers(): ChaosWatcher[] {
    const starts = [2, 'next', 'list'] as const;
    return transports.flatMap((transport, row) =>
      starts.map((start, column) => {
        const prefix = ['', ...prefixes][(row + 2 * column) % 4] ?? '';
        const previous = (row + column) % 2 === 0;
        return this.#watcher({ name: `watcher ${3 * row + column}`, transport, prefix, previous, start });
      }),
    );
  }

  #watcher(shape: WatchShape): ChaosWatcher {
    return new ChaosWatcher({
      ...shape,
      recorder: this.#recorder,
      random: this.#random.fork(),
      store: this.#store,
      isPaused: () => this.#isPaused,
    });
  }

  #makeNemesis(): Nemesis {
    return new Nemesis({
      random: this.#random.fork(),
      recorder: this.#recorder,
      store: this.#store,
      faultUrl: () => this.#server.ready.faultUrl ?? '',
      tenant: this.#server.ready.tenant,
      restart: () => this.#restart(),
      pause: (isPaused) => {
        this.#isPaused = isPaused;
      },
      kinds: this.#seconds >= longFaultsFromSeconds ? allFaults : shortFaults,
    });
  }

  async #restart(): Promise<void> {
    const { port } = new URL(this.#server.ready.url);
    await this.#server.killEverything();
    this.#server = await this.#start(port);
  }
}

function eventsIn(frames: Evidence['watched'][number]['connections'][number]['frames']): number {
  return frames.reduce((sum, frame) => sum + (frame.kind === 'events' ? frame.events.length : 0), 0);
}
