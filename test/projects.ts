// Which file of tests runs in which of vitest's projects, by pattern, so that a new folder needs no entry.
// test/project/rooms.test.ts holds that each file is in exactly one project.

export interface TestFiles {
  readonly include: string[];
  readonly exclude: string[];
}

const everywhere = 'test/**/*';
const runsOfSimulator = 'test/sim/*.test.ts';
const ofProcesses = `${everywhere}.process.test.ts`;
const inWorkerd = `${everywhere}.worker.test.ts`;
const slow = `${everywhere}.slow.test.ts`;
const long = `${everywhere}.long.test.ts`;

export const testProjects = {
  /** Pure code on Node. These tests start no process, and are fast: `npm run check:fast` runs them alone. */
  node: { include: [`${everywhere}.test.ts`], exclude: [runsOfSimulator, ofProcesses, inWorkerd, slow, long] },
  /** The same of what takes seconds: large stores, and very many cases. */
  slow: { include: [slow], exclude: [] },
  /** Runs of the simulator. */
  sim: { include: [runsOfSimulator], exclude: [long] },
  /** Programs that are started as a user starts them. */
  process: { include: [ofProcesses], exclude: [] },
  /** What only the platform can show: in workerd. */
  worker: { include: [inWorkerd], exclude: [] },
  /** Long explorations on Node: `npm run test:long`. */
  long: { include: [long], exclude: [] },
} satisfies Record<string, TestFiles>;

/** Projects whose tests mostly wait, for clocks of the platform or for processes. */
const waiting: readonly string[] = ['process', 'worker'];
/** Their files that take longest, each for more than half a minute. */
const waitsLongest = ['sleep.worker', 'left-clients.process', 'corpus.process', 'corpus-grpc.process'];

/** Projects whose tests compute for seconds, those that take longer last. */
const takeSeconds: readonly string[] = ['slow', 'sim'];

/** Files in the order in which they start: one that waits beside one that computes, those that take longest first. */
export function startingOrder<File>(
  files: readonly File[],
  told: (file: File) => { readonly project: string; readonly path: string; readonly bytes: number },
): File[] {
  const sorted = files.toSorted((left, right) => told(right).bytes - told(left).bytes);
  const waits = (file: File): boolean => waiting.includes(told(file).project);
  const isLongest = (file: File): boolean => waitsLongest.some((name) => told(file).path.includes(name));
  const waiters = sorted.filter(waits).sort((left, right) => Number(isLongest(right)) - Number(isLongest(left)));
  const others = sorted.filter((file) => !waits(file));
  const placeOf = (file: File): number => takeSeconds.indexOf(told(file).project);
  const computers = others.sort((left, right) => placeOf(right) - placeOf(left));
  return Array.from({ length: Math.max(waiters.length, computers.length) }).flatMap((_, place) =>
    [waiters[place], computers[place]].filter((file) => file !== undefined),
  );
}
