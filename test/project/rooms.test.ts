// Where tests lie: a test of a room of src lies in the room of the same name, and no file of tests is left out by every
// project.

import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, matchesGlob, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startingOrder, type TestFiles, testProjects } from '../projects.ts';

/**
 * Rooms of test/ that mirror no room of src. What stands in them goes over all of src, or is a program. A new one is
 * added on purpose.
 */
const ownRooms = new Set([
  'bench',
  'chaos',
  'clients',
  'clients/aetcd-python',
  'clients/etcd3-python',
  'conformance',
  'conformance/live',
  'corpus',
  'cost',
  'demo',
  'fuzz',
  'kills',
  'measure',
  'mvcc/contract',
  'mvcc/fixtures',
  'project',
  'raft/golden',
  'sim',
  'sim/bugs',
  'sim/checkers',
  'sim/models',
  'sim/platform',
  'sim/workloads',
  'support',
  'support/levels',
]);

const files = globSync('test/**/*.{ts,js,txt,sql,jsonl}').map((file) => normalize(file));

function unknownRooms(paths: readonly string[]): string[] {
  const rooms = new Set(paths.map((path) => dirname(path).replace(/^test\/?/, '')));
  return [...rooms].filter((room) => room !== '' && !ownRooms.has(room) && !existsSync(join('src', room)));
}

function projectsOf(file: string): string[] {
  const all: [string, TestFiles][] = Object.entries(testProjects);
  const matches = (patterns: readonly string[]) => patterns.some((pattern) => matchesGlob(file, pattern));
  return all.filter(([, { include, exclude }]) => matches(include) && !matches(exclude)).map(([name]) => name);
}

/** Imports of other files, as a test file reaches contract suites that register tests of their own. */
function reachedFrom(roots: readonly string[], textOf: (file: string) => string): Set<string> {
  const seen = new Set<string>();
  const waiting = [...roots];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    for (const [, specifier = ''] of textOf(next).matchAll(/^(?:import|export|\}) .*\bfrom '(\.[^']+\.ts)'/gm)) {
      waiting.push(normalize(join(dirname(next), specifier)));
    }
  }
  return seen;
}

const readText = (file: string) => readFileSync(file, 'utf8');
const isNamedTest = (file: string) => /\.(test|spec)\.[a-z]+$/.test(file);
const registersTests = (text: string) => /^import \{[^}]*\b(?:it|test|describe)\b[^}]*\} from 'vitest'/m.test(text);

/** Files whose tests nobody runs: in no project, or in two, or neither named as a test nor imported by one. */
function strayTests(paths: readonly string[], textOf: (file: string) => string): string[] {
  const named = paths.filter((file) => isNamedTest(file));
  const reached = reachedFrom(named, textOf);
  return [
    ...named.filter((file) => projectsOf(file).length !== 1),
    ...paths.filter((file) => file.endsWith('.ts') && !reached.has(file) && registersTests(textOf(file))),
  ];
}

describe('PROJECT-8: test/ has the rooms of src, and rooms of its own that are known', () => {
  it('has no other room', () => {
    expect(unknownRooms(files)).toEqual([]);
  });
  it('finds a room that is neither', () => {
    expect(unknownRooms(['test/mvcc/watch/a.test.ts', 'test/watch/a.test.ts'])).toEqual(['watch']);
  });
});

describe('PROJECT-9: each test runs in exactly one project', () => {
  it('holds for all files', () => {
    expect(strayTests(files, readText)).toEqual([]);
  });
  it('finds a file of tests that no pattern has, and a suite that no test imports', () => {
    const suite = "import { expect, it } from 'vitest';";
    const planted = new Map([
      ['test/mvcc/a.test.ts', "import { rules } from './contract.ts';"],
      ['test/mvcc/contract.ts', suite],
      ['test/mvcc/forgotten.ts', suite],
      ['test/mvcc/b.spec.ts', suite],
    ]);
    const stray = strayTests([...planted.keys()], (file) => planted.get(file) ?? '');
    expect(stray).toEqual(['test/mvcc/b.spec.ts', 'test/mvcc/forgotten.ts']);
  });
});

/** Files of the project `node` that start a process or a thread, or import a file that does. */
function startingProcesses(paths: readonly string[], textOf: (file: string) => string): string[] {
  const withoutTypes = (file: string): string => textOf(file).replaceAll(/^import type [^;]*;/gm, '');
  const starts = (file: string): boolean =>
    /^import .* from 'node:(?:child_process|worker_threads)'/m.test(textOf(file));
  const pure = paths.filter((file) => isNamedTest(file) && projectsOf(file).includes('node'));
  return pure.filter((file) => [...reachedFrom([file], withoutTypes)].some((reached) => starts(reached)));
}

describe('PROJECT-15: pure tests start no process', () => {
  it('holds for all of them', () => {
    expect(startingProcesses(files, readText)).toEqual([]);
  });
  it('finds one that does, by way of another file', () => {
    const planted = new Map([
      ['test/server/start.test.ts', "import { startQuorate } from '../support/quorate-process.ts';"],
      ['test/server/start.process.test.ts', "import { startQuorate } from '../support/quorate-process.ts';"],
      ['test/support/quorate-process.ts', "import { spawn } from 'node:child_process';"],
    ]);
    const found = startingProcesses([...planted.keys()], (file) => planted.get(file) ?? '');
    expect(found).toEqual(['test/server/start.test.ts']);
  });
});

describe('PROJECT-16: tests that wait start beside tests that compute, and those that take longest start first', () => {
  it('orders them', () => {
    const files = [
      { project: 'node', path: 'test/raft/a.test.ts', bytes: 900 },
      { project: 'sim', path: 'test/sim/b.test.ts', bytes: 500 },
      { project: 'node', path: 'test/raft/c.test.ts', bytes: 100 },
      { project: 'slow', path: 'test/mvcc/e.slow.test.ts', bytes: 10 },
      { project: 'worker', path: 'test/replica/d.worker.test.ts', bytes: 800 },
      { project: 'worker', path: 'test/replica/sleep.worker.test.ts', bytes: 50 },
    ];
    const order = startingOrder(files, (file) => file).map(
      ({ path }) => /(\w+)\.(?:worker\.|slow\.)?test/.exec(path)?.[1],
    );
    expect(order).toEqual(['sleep', 'b', 'd', 'e', 'a', 'c']);
  });
});
