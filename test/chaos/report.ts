// The text that a run prints at its end.

import { inWords, type Violation } from '../sim/checkers/history.ts';
import type { ChaosOptions, ChaosReport } from './run.ts';

const violationsShown = 10;
const operationsShown = 16;
const stderrShown = 2_000;

export function reportInWords(report: ChaosReport, { seconds, seed }: ChaosOptions): string {
  const { history, violations, counts, revisions, events, longestGap } = report;
  const outcomes = Map.groupBy(history, ({ outcome }) => outcome.kind);
  const count = (kind: 'answered' | 'refused' | 'lost'): number => outcomes.get(kind)?.length ?? 0;
  const lines = [
    `${history.length} operations: ${count('answered')} answered, ${count('refused')} refused, ${count('lost')} unknown`,
    `${revisions} revisions, ${events} events told to watchers`,
    `longest time without an acknowledged write: ${Math.round(longestGap.ms)} ms, from ${Math.round(longestGap.fromMs)} ms on`,
    ...[...counts]
      .toSorted(([left], [right]) => left.localeCompare(right))
      .map(([what, times]) => `  ${what.padEnd(42)} ${times}`),
  ];
  if (violations.length === 0) return `${[...lines, 'No violation.'].join('\n')}\n`;
  const rules = Map.groupBy(violations, ({ rule }) => rule);
  lines.push(
    `${violations.length} violations: ${[...rules].map(([rule, those]) => `${rule} (${those.length})`).join(', ')}`,
  );
  for (const violation of violations.slice(0, violationsShown)) lines.push(violationInWords(violation));
  if (report.stderr !== '') lines.push('The server said last:', report.stderr.slice(-stderrShown));
  lines.push(`Run it again: npm run chaos -- --seconds ${seconds} --seed ${seed}`);
  return `${lines.join('\n')}\n`;
}

function violationInWords({ rule, what, operations }: Violation): string {
  // Some violations are sentences already.
  const others = operations.map(inWords).filter((words) => !what.includes(words));
  const shown = others.slice(-operationsShown).map((words) => `    ${words}`);
  return [`VIOLATION of "${rule}": ${what}`, ...shown].join('\n');
}
