// Runs seeds one after the other, in this process or in several threads, until one fails.

import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { PlantedBug } from './bugs.ts';
import type { FaultMix } from './faults.ts';
import { type Report, simulate } from './simulation.ts';

export type Exploration = {
  readonly first: number;
  readonly seeds: number;
  readonly jobs: number;
  readonly bug: PlantedBug | null;
  readonly mix: Partial<FaultMix>;
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

/** The failure with the lowest seed; null: none failed. No seed after it is begun. */
export async function explore(exploration: Exploration, tally: Tally): Promise<Report | null> {
  const pieces = piecesOf(exploration);
  if (exploration.jobs === 1) {
    for (const piece of pieces) {
      const failed = await runPiece(piece, (report) => tally.add(report));
      if (failed !== null) return failed;
    }
    return null;
  }
  const failures: Report[] = [];
  const next = (): Piece | undefined => (failures.length > 0 ? undefined : pieces.shift());
  const jobs = Array.from({ length: exploration.jobs }, () => runThread(next, tally, failures));
  await Promise.all(jobs);
  return failures.sort((left, right) => left.seed - right.seed)[0] ?? null;
}

/** Tells of every run; ends with the first that fails. */
export async function runPiece(piece: Piece, ran: (report: Report) => void): Promise<Report | null> {
  const { first, seeds, bug, mix } = piece;
  for (let seed = first; seed < first + seeds; seed++) {
    const report = await simulate({ seed, bug, mix });
    ran(report);
    if (report.failure !== null) return report;
  }
  return null;
}

const seedsInPiece = 8;

function piecesOf({ first, seeds, bug, mix }: Exploration): Piece[] {
  const pieces: Piece[] = [];
  for (let done = 0; done < seeds; done += seedsInPiece) {
    pieces.push({ first: first + done, seeds: Math.min(seedsInPiece, seeds - done), bug, mix });
  }
  return pieces;
}

export type ThreadReport = { readonly kind: 'ran'; readonly report: Report } | { readonly kind: 'free' };

function runThread(next: () => Piece | undefined, tally: Tally, failures: Report[]): Promise<void> {
  const worker = new Worker(fileURLToPath(import.meta.resolve('./exploration-thread.ts')));
  return new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', resolve);
    worker.on('message', (said: ThreadReport) => {
      if (said.kind === 'ran') {
        tally.add(said.report);
        if (said.report.failure !== null) failures.push(said.report);
        return;
      }
      const piece = next();
      worker.postMessage(piece ?? null);
    });
  });
}
