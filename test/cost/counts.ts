// What is counted of a group, and how counts are added, scaled and priced.

import { messagesOfRequest, prices } from './prices.ts';

export const countsPath = '/cost/counts';

/** `peerRequests`: calls from replica to replica, which are requests like others. `clocks`: objects that are awake. */
export type Counts = {
  readonly rowsWritten: number;
  /** Of those written: deleted. */
  readonly rowsDeleted: number;
  readonly rowsRead: number;
  /** Rows that a compaction deletes later: so many more than before. */
  readonly historyRows: number;
  readonly workerRequests: number;
  readonly objectRequests: number;
  readonly peerRequests: number;
  readonly messages: number;
  readonly alarms: number;
  readonly objectSeconds: number;
  readonly clocks: number;
};

export const noCounts = {
  rowsWritten: 0,
  rowsDeleted: 0,
  rowsRead: 0,
  historyRows: 0,
  workerRequests: 0,
  objectRequests: 0,
  peerRequests: 0,
  messages: 0,
  alarms: 0,
  objectSeconds: 0,
  clocks: 0,
} satisfies Counts;

const names = Object.keys(noCounts) as (keyof Counts)[];

/** left + right × times, of each count. */
export function plus(left: Counts, right: Counts, times = 1): Counts {
  return Object.fromEntries(names.map((name) => [name, left[name] + right[name] * times])) as Counts;
}

/** What is not more than on the other side counts as nothing: the difference of two measurements. */
export function beyond(left: Counts, right: Counts): Counts {
  const difference = plus(left, right, -1);
  return Object.fromEntries(names.map((name) => [name, Math.max(0, difference[name])])) as Counts;
}

export function times(counts: Counts, factor: number): Counts {
  return plus(noCounts, counts, factor);
}

export function messagesAsRequests({ messages }: Counts): number {
  return messages / messagesOfRequest;
}

/** Dollars, without CPU time and storage, which are not counted. */
export function dollarsOf(counts: Counts): number {
  const requests = counts.objectRequests + counts.peerRequests + counts.alarms + messagesAsRequests(counts);
  return (
    (counts.rowsWritten + counts.historyRows) * prices.rowsWritten +
    counts.rowsRead * prices.rowsRead +
    counts.workerRequests * prices.workerRequests +
    requests * prices.objectRequests +
    counts.objectSeconds * prices.objectSeconds
  );
}
