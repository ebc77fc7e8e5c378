// What replicas counted (`replica/tallies.ts`), as metrics.

import type { Histogram, Labels, Sample } from '../api/metrics-text.ts';
import { latencyBucketsMs } from '../limits.ts';

/** A count by its name, with the labels of those whose it is. */
export type Counted = { readonly labels: Labels; readonly name: string; readonly value: number };

/** The counts whose names begin with this word, each with the words that follow it. */
function ofWord(counted: readonly Counted[], word: string): { labels: Labels; words: string[]; value: number }[] {
  return counted.flatMap(({ labels, name, value }) => {
    const [first, ...words] = name.split(' ');
    return first === word ? [{ labels, words, value }] : [];
  });
}

export function callSamples(counted: readonly Counted[]): Sample[] {
  return ofWord(counted, 'call').map(({ labels, words: [call = '', code = ''], value }) => {
    return { labels: { ...labels, call, code }, value };
  });
}

export function electionSamples(counted: readonly Counted[]): Sample[] {
  return ofWord(counted, 'elections').map(({ labels, value }) => ({ labels, value }));
}

/** How long calls took, in seconds. Every series has all buckets, so that they can be added. */
export function durationSeries(counted: readonly Counted[]): Histogram[] {
  const sums = new Map(
    ofWord(counted, 'msSum').map(({ labels, words: [call = ''], value }) => [keyOf(labels, call), value]),
  );
  const series = new Map<string, { labels: Labels; counts: Map<number, number>; sum: number }>();
  for (const { labels, words, value } of ofWord(counted, 'ms')) {
    const [call = '', bound = ''] = words;
    const key = keyOf(labels, call);
    const known = series.get(key) ?? { labels: { ...labels, call }, counts: new Map(), sum: sums.get(key) ?? 0 };
    known.counts.set(bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound), value);
    series.set(key, known);
  }
  return [...series.values()].map(({ labels, counts, sum }) => ({
    labels,
    // A bound that other code has counted by is one, too.
    buckets: [...new Set([...latencyBucketsMs, ...counts.keys()])].map((boundMs) => {
      return { bound: boundMs / 1_000, count: counts.get(boundMs) ?? 0 };
    }),
    sum: sum / 1_000,
  }));
}

function keyOf(labels: Labels, call: string): string {
  return JSON.stringify([...Object.entries(labels), call]);
}
