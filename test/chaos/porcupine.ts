// A history as porcupine (github.com/anishathalye/porcupine) reads operations: ClientId, Input, Call, Output, Return, with times in
// nanoseconds. Input and Output are what was asked and told, for a model to be written against. What was never answered returns after all
// others, and has no Output: it may have been done or not.

import type { HistoryEntry } from '../sim/linearizability.ts';

export function porcupineJson(history: readonly HistoryEntry[]): string {
  const answered = history.map(({ answeredMs }) => answeredMs).filter(Number.isFinite);
  const endMs = Math.max(0, ...answered) + 1;
  const operations = history.map(({ name, action, calledMs, answeredMs, told }) => ({
    ClientId: Number(/^c(\d+)-/.exec(name)?.[1] ?? 0),
    Input: { name, ...action },
    Call: nanoseconds(calledMs),
    Output: told,
    Return: nanoseconds(Number.isFinite(answeredMs) ? answeredMs : endMs),
  }));
  return `${JSON.stringify(operations, plain, 1)}\n`;
}

function nanoseconds(ms: number): number {
  return Math.round(ms * 1_000_000);
}

function plain(_: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1');
  return typeof value === 'bigint' ? String(value) : value;
}
