// What three tenants would pay in a month, from the figures that were measured.

import { type Counts, dollarsOf, noCounts, plus, times } from './counts.ts';
import { prices } from './prices.ts';

const secondsOfHour = 3_600;
const daysOfMonth = 30;
const bytesOfGb = 1e9;

/** Each is of one call, event, second or revision, on all three replicas. */
export type Figures = {
  /** A put that wakes a group which sleeps again after it. */
  readonly lonePut: Counts;
  readonly loneGet: Counts;
  readonly putAlone: Counts;
  readonly putAmong64: Counts;
  readonly getAmong64: Counts;
  readonly watchEvent: Counts;
  readonly awakeSecond: Counts;
  readonly asleepHour: Counts;
  readonly storedBytesOfKey: number;
  readonly storedBytesOfRevision: number;
};

export type Bill = {
  readonly name: string;
  readonly words: string;
  readonly rows: number;
  readonly requests: number;
  readonly time: number;
  readonly storage: number;
  readonly total: number;
};

type Month = {
  readonly name: string;
  readonly words: string;
  readonly used: Counts;
  readonly storedBytes: number;
};

/** History is kept for an hour, so the revisions of an hour are stored. The rows of all are deleted later. */
function months(figures: Figures): readonly Month[] {
  const { lonePut, loneGet, putAlone, putAmong64, getAmong64, watchEvent } = figures;
  const { awakeSecond, asleepHour, storedBytesOfKey, storedBytesOfRevision } = figures;
  const hoursOfMonth = 24 * daysOfMonth;
  const hobby = { putsADay: 20, getsADay: 100, keys: 1_000 };
  const team = { tenants: 100, hours: 8 * 22, putsASecond: 5, getsASecond: 10, keys: 10_000 };
  const plane = { putsASecond: 500, getsASecond: 500, eventsOfPut: 10, keys: 100_000 };
  const wakes = daysOfMonth * (hobby.putsADay + hobby.getsADay);
  const teamSeconds = team.hours * secondsOfHour;
  const planeSeconds = hoursOfMonth * secondsOfHour;
  const hobbyUsed = [
    times(lonePut, daysOfMonth * hobby.putsADay),
    times(loneGet, daysOfMonth * hobby.getsADay),
    times(asleepHour, hoursOfMonth - (wakes * 6) / secondsOfHour),
  ];
  const teamUsed = [
    times(putAlone, teamSeconds * team.putsASecond),
    times(getAmong64, teamSeconds * team.getsASecond),
    times(awakeSecond, teamSeconds),
    times(asleepHour, hoursOfMonth - team.hours),
  ];
  const planeUsed = [
    times(putAmong64, planeSeconds * plane.putsASecond),
    times(getAmong64, planeSeconds * plane.getsASecond),
    times(watchEvent, planeSeconds * plane.putsASecond * plane.eventsOfPut),
    times(awakeSecond, planeSeconds),
  ];
  return [
    {
      name: 'a hobby tenant',
      words: `${hobby.putsADay} puts and ${hobby.getsADay} gets a day, each alone, of a group that sleeps between them; ${hobby.keys} keys`,
      used: sum(hobbyUsed),
      storedBytes: hobby.keys * storedBytesOfKey,
    },
    {
      name: `a team of ${team.tenants} tenants`,
      words: `each ${team.putsASecond} puts/s, one at a time, and ${team.getsASecond} gets/s for ${team.hours} hours; ${team.keys} keys each`,
      used: times(sum(teamUsed), team.tenants),
      storedBytes:
        team.tenants * (team.keys * storedBytesOfKey + team.putsASecond * secondsOfHour * storedBytesOfRevision),
    },
    {
      name: 'a busy control plane',
      words: `${plane.putsASecond} puts/s and ${plane.getsASecond} gets/s of 64 clients all month, 2,000 watches, ${plane.eventsOfPut} events a put; ${plane.keys} keys`,
      used: sum(planeUsed),
      storedBytes: plane.keys * storedBytesOfKey + plane.putsASecond * secondsOfHour * storedBytesOfRevision,
    },
  ];
}

export function bills(figures: Figures): readonly Bill[] {
  return months(figures).map(({ name, words, used, storedBytes }) => {
    const total = dollarsOf(used);
    const { rowsWritten, rowsRead, historyRows } = used;
    const rows = dollarsOf({ ...noCounts, rowsWritten, rowsRead, historyRows });
    const time = dollarsOf({ ...noCounts, objectSeconds: used.objectSeconds });
    const storage = (storedBytes / bytesOfGb) * prices.storedGbMonths;
    return { name, words, rows, requests: total - rows - time, time, storage, total: total + storage };
  });
}

function sum(parts: readonly Counts[]): Counts {
  return parts.reduce((all, part) => plus(all, part), noCounts);
}
