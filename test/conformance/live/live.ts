// Random sessions at a real etcd and at Quorate: the answers of etcd are written down, and those of Quorate are
// compared with them. A session that finds a difference is made shorter for as long as the difference stays.

import type { Step } from '../conversation.ts';
import { replay, type Difference } from '../replay.ts';
import type { StoreSource } from '../store.ts';
import { record, type Recording } from './recorder.ts';
import { makeSession, type Session } from './session.ts';

/** Each try is a whole session at both servers. */
const shorteningTriesMax = 40;

export type Outcome = { readonly session: Session; readonly answers: number } & (
  | { readonly kind: 'same' }
  | { readonly kind: 'different'; readonly finding: Finding }
  /** etcd itself failed; its last request tells more than the difference. */
  | { readonly kind: 'broken'; readonly error: Error }
);

export type Finding = {
  readonly recording: Recording;
  readonly difference: Difference;
  /** Null: the difference does not belong to one line. */
  readonly step: Step | null;
  readonly steps: number;
};

export type Sides = { readonly etcd: StoreSource; readonly quorate: StoreSource };

export async function runSession(seed: number, sides: Sides, shortens: boolean): Promise<Outcome> {
  const session = makeSession(seed);
  try {
    const { answers, finding } = await attempt(session, sides);
    if (finding === null) return { session, answers, kind: 'same' };
    return {
      session,
      answers,
      kind: 'different',
      finding: shortens ? await shorten(session, finding, sides) : finding,
    };
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    return { session, answers: 0, kind: 'broken', error };
  }
}

async function attempt(session: Session, sides: Sides): Promise<{ answers: number; finding: Finding | null }> {
  const recording = await withStore(sides.etcd, (store) => record(session, store));
  const { compared, differences } = await withStore(sides.quorate, (store) => replay(recording.conversation, store));
  const [difference] = differences;
  if (difference === undefined) return { answers: compared, finding: null };
  const step = recording.conversation.steps.find(({ line }) => line === difference.line) ?? null;
  return { answers: compared, finding: { recording, difference, step, steps: session.steps.length } };
}

async function withStore<Result>(
  source: StoreSource,
  use: (store: Awaited<ReturnType<StoreSource['fresh']>>) => Promise<Result>,
): Promise<Result> {
  const store = await source.fresh();
  try {
    return await use(store);
  } finally {
    await store.dispose();
  }
}

/** Cuts off the steps after the difference, then leaves out ever smaller parts. */
async function shorten(session: Session, finding: Finding, sides: Sides): Promise<Finding> {
  let best = finding;
  let steps = session.steps;
  let size = steps.length;
  let at = lastNeeded(finding);
  for (let tries = 0; tries < shorteningTriesMax && size >= 1; tries++) {
    const fewer = steps.toSpliced(at, size);
    const { finding: found } = await attempt({ ...session, steps: fewer }, sides);
    if (found === null) {
      at += size;
    } else {
      best = found;
      steps = fewer.slice(0, lastNeeded(found));
    }
    if (at >= steps.length) {
      at = 0;
      size = Math.floor(Math.min(size, steps.length) / 2);
    }
  }
  return best;
}

function lastNeeded({ recording, difference, steps }: Finding): number {
  const planned = recording.plannedOf.get(difference.line);
  return planned === undefined ? steps : planned + 1;
}
