// Figures that sum up many measurements.

/** `sorted` is in ascending order. NaN: it is empty. */
export function percentileOf(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** The numbers may be in any order. */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
  const next = sorted[Math.ceil((sorted.length - 1) / 2)] ?? Number.NaN;
  return (middle + next) / 2;
}

/** The figure in the text that etcd's benchmark prints. */
export function requestsPerSecondIn(text: string): number {
  const found = /Requests\/sec:\s+([\d.]+)/.exec(text)?.[1];
  if (found === undefined) throw new Error(`etcd's benchmark printed no "Requests/sec": ${text.slice(-300)}`);
  return Number(found);
}
