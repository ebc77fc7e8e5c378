// `npm run conformance -- --live`: makes as many random sessions as asked for, and says what they found.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unreachable } from '../../../src/base/assert.ts';
import { actionJson, conversationText } from '../conversation-text.ts';
import { runSession, type Finding, type Outcome, type Sides } from './live.ts';

export type LiveOptions = {
  readonly sessions: number;
  readonly seed: number;
  readonly concurrency: number;
  readonly shortens: boolean;
  /** The folder in which the conversations of sessions that found something are kept. Null: they are not kept. */
  readonly keepIn: string | null;
  readonly verbose: boolean;
};

/** Returns how many sessions found a difference. */
export async function runLive(sides: Sides, options: LiveOptions, print: (line: string) => void): Promise<number> {
  const startedAt = Date.now();
  const seeds = Array.from({ length: options.sessions }, (_, index) => options.seed + index);
  const total = { answers: 0, differing: 0 };
  const work = async (): Promise<void> => {
    for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
      const outcome = await runSession(seed, sides, options.shortens);
      total.answers += outcome.answers;
      if (outcome.kind !== 'same') total.differing++;
      report(outcome, options, print);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, work));
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
  print(
    `${options.sessions} random sessions from seed ${options.seed} on, ${total.answers} answers compared, ` +
      `${total.differing} sessions with differences, ${seconds} s`,
  );
  return total.differing;
}

function report(outcome: Outcome, options: LiveOptions, print: (line: string) => void): void {
  const { session, answers } = outcome;
  const head = `seed ${session.seed}: ${session.kind}`;
  switch (outcome.kind) {
    case 'same':
      if (options.verbose) print(`${head}, ${answers} answers, 0 differences`);
      return;
    case 'broken':
      print(`${head}: ${outcome.error.message}`);
      return;
    case 'different':
      print(`${head}, a difference, in a session of ${outcome.finding.steps} steps`);
      return reportFinding(session.seed, outcome.finding, options, print);
    default:
      return unreachable(outcome);
  }
}

function reportFinding(seed: number, finding: Finding, options: LiveOptions, print: (line: string) => void): void {
  const { difference, step, recording } = finding;
  print(`  run it again: npm run conformance -- --live --sessions 1 --seed ${seed}`);
  print(`  line ${difference.line}: ${difference.reason}`);
  if (step !== null) print(`  etcd: ${JSON.stringify(actionJson(step.action))}`);
  if (difference.answer !== null) print(`  Quorate: ${difference.answer}`);
  if (options.keepIn === null) return;
  mkdirSync(options.keepIn, { recursive: true });
  const path = join(options.keepIn, recording.conversation.file);
  writeFileSync(path, conversationText(recording.conversation));
  print(`  the whole conversation: ${path}`);
}
