// `npm run bench`: Quorate and, where it is on PATH, etcd, under the same load in turn: A B A B. Prints every round,
// the medians and their ratio. Ends with 1 where an answer was not 2xx: a fast wrong answer is not speed.

import { parseArgs } from 'node:util';
import { chooseDriver, programOnPath, type Driver, type Load } from './load.ts';
import { profile } from './profile.ts';
import { etcdSubject, quorateSubject, type Subject } from './subjects.ts';
import { connections, keyCount, preload, valueBytes, type Operation } from './workload.ts';

const help = `Usage: npm run bench -- [options]

Drives Quorate, started as npm start does, and three members of etcd, if etcd is on PATH, at ${connections} connections:
POST /v3/kv/put and then POST /v3/kv/range (linearizable), ${valueBytes} B values, random keys among ${keyCount}.

  --rounds N        (3)
  --seconds N       of each side in each round (8)
  --warm-up N       seconds of each side before the first round (4)
  --only OPERATION  put or range
  --alone           without etcd
  --profile         no comparison: a CPU profile of the runtime under each load, as quorate-put.cpuprofile and so on
  --help            print this
`;

type Settings = {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly operations: readonly Operation[];
};

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '8' },
      'warm-up': { type: 'string', default: '4' },
      only: { type: 'string' },
      alone: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const settings = {
    rounds: wholeNumber('--rounds', values.rounds),
    seconds: wholeNumber('--seconds', values.seconds),
    warmUpSeconds: wholeNumber('--warm-up', values['warm-up']),
    operations: chooseOperations(values.only),
  };
  const driver = chooseDriver();
  if (values.profile) return await profile(driver, settings);
  return await compare(driver, settings, values.alone ? null : programOnPath('etcd'));
}

async function compare(driver: Driver, settings: Settings, etcd: string | null): Promise<number> {
  print(
    `${driver.name}, ${connections} connections, ${valueBytes} B values, ${keyCount} keys, ${settings.seconds} s a round`,
  );
  if (etcd === null) print('etcd is not driven: Quorate alone');
  const subjects: Subject[] = [];
  try {
    subjects.push(await quorateSubject([]));
    if (etcd !== null) subjects.push(await etcdSubject(etcd));
    for (const subject of subjects) await preload(subject.url, subject.headers);
    let failures = 0;
    for (const operation of settings.operations)
      failures += await compareOperation(driver, settings, subjects, operation);
    if (failures > 0) print(`${failures} requests failed`);
    return failures === 0 ? 0 : 1;
  } finally {
    for (const subject of subjects) await subject.dispose();
  }
}

/** The number of requests that failed. */
async function compareOperation(
  driver: Driver,
  settings: Settings,
  subjects: readonly Subject[],
  operation: Operation,
): Promise<number> {
  const loads = new Map<Subject, Load[]>(subjects.map((subject) => [subject, []]));
  for (const subject of subjects) await driver.run(subject, operation, settings.warmUpSeconds);
  for (let round = 1; round <= settings.rounds; round++) {
    for (const [subject, measured] of loads) {
      const load = await driver.run(subject, operation, settings.seconds);
      measured.push(load);
      const failed = load.failures === 0 ? '' : `, ${load.failures} FAILED`;
      const latency = `p50 ${load.p50Ms.toFixed(1)} ms, p99 ${load.p99Ms.toFixed(1)} ms`;
      print(
        `  ${operation} round ${round} ${subject.name.padEnd(8)} ${perSecond(load.perSecond)}  ${latency}${failed}`,
      );
    }
  }
  const medians = [...loads].map(([subject, measured]) => [subject.name, medianOf(measured)] as const);
  const [first, second] = medians.map(([, median]) => median);
  const ratio = first === undefined || second === undefined ? '' : `   ratio ${(first / second).toFixed(2)}`;
  print(`${operation} medians: ${medians.map(([name, median]) => `${name} ${perSecond(median)}`).join(', ')}${ratio}`);
  return [...loads.values()].flat().reduce((sum, { failures }) => sum + failures, 0);
}

function medianOf(loads: readonly Load[]): number {
  const sorted = loads.map((load) => load.perSecond).toSorted((left, right) => left - right);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
  const next = sorted[Math.ceil((sorted.length - 1) / 2)] ?? 0;
  return (middle + next) / 2;
}

function perSecond(rate: number): string {
  return `${Math.round(rate).toString().padStart(6)}/s`;
}

function chooseOperations(only: string | undefined): readonly Operation[] {
  if (only === undefined) return ['put', 'range'];
  if (only === 'put' || only === 'range') return [only];
  throw new Error(`--only takes put or range, not "${only}"`);
}

function wholeNumber(option: string, text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new Error(`${option} must be a whole number from 1 on, not "${text}"`);
  return Number(text);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
