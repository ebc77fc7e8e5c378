// Runs seeds one after the other, in this process or in several threads, until one fails.

import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { PlantedBug } from './bugs/bugs.ts';
import type { FaultMix } from './faults.ts';
import { type Report, simulate } from './simulation.ts';

export type Exploration = {
  readonly first: number;
  readonly seeds: number;
  readonly jobs: number;
  readonly bug: PlantedBug | null;
  readonly mix: Partial<FaultMix>;
  /** After a failure no further seed is begun. */
  readonly stops: boolean;
};

/** What threads are told: some seeds in a row. */
export type Piece = Omit<Exploration, 'jobs'>;

/** How often each thing happened. */
export class Tally {
  readonly #totals = new Map<string, { times: number; runs: number }>();
  seeds = 0;

  add(report: Report): void {
    this.seeds++;
    for (const [what, times] of report.counts) {
      const total = this.#totals.get(what) ?? { times: 0, runs: 0 };
      this.#totals.set(what, { times: total.times + times, runs: total.runs + 1 });
    }
  }

  times(what: string): number {
    return this.#totals.get(what)?.times ?? 0;
  }

  lines(): string[] {
    const width = Math.max(0, ...[...this.#totals.keys()].map((what) => what.length));
    return [...this.#totals]
      .sort(([left], [right]) => left.localeCompare(right))
      .map(([what, { times, runs }]) => `${what.padEnd(width)} ${String(times).padStart(10)}  in ${runs} runs`);
  }
}

/** The runs that failed, in the order of their seeds. Several threads may find more than one before they stop. */
export async function explore(exploration: Exploration, tally: Tally): Promise<readonly Report[]> {
  const pieces = piecesOf(exploration);
  const failures: Report[] = [];
  const next = (): Piece | undefined => (exploration.stops && failures.length > 0 ? undefined : pieces.shift());
  const ran = (report: Report): void => {
    tally.add(report);
    if (report.failure !== null) failures.push(report);
  };
  if (exploration.jobs > 1) await Promise.all(Array.from({ length: exploration.jobs }, () => runThread(next, ran)));
  else for (let piece = next(); piece !== undefined; piece = next()) await runPiece(piece, ran);
  return failures.sort((left, right) => left.seed - right.seed);
}

/** Called after every run. */
export async function runPiece({ first, seeds, bug, mix, stops }: Piece, ran: (report: Report) => void): Promise<void> {
  for (let seed = first; seed < first + seeds; seed++) {
    const report = await simulate({ seed, bug, mix });
    ran(report);
    if (stops && report.failure !== null) return;
  }
}

const seedsInPiece = 8;

function piecesOf({ first, seeds, bug, mix, stops }: Exploration): Piece[] {
  const pieces: Piece[] = [];
  for (let done = 0; done < seeds; done += seedsInPiece) {
    pieces.push({ first: first + done, seeds: Math.min(seedsInPiece, seeds - done), bug, mix, stops });
  }
  return pieces;
}

export type ThreadReport = { readonly kind: 'ran'; readonly report: Report } | { readonly kind: 'free' };

function runThread(next: () => Piece | undefined, ran: (report: Report) => void): Promise<void> {
  const worker = new Worker(fileURLToPath(import.meta.resolve('./exploration-thread.ts')));
  return new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', () => resolve());
    worker.on('message', (said: ThreadReport) => {
      if (said.kind === 'ran') ran(said.report);
      else worker.postMessage(next() ?? null, []);
    });
  });
}
