// Imports point one way, and the pure core knows no platform. Read from the source text, so that nobody has to remember
// it.

import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { version } from '../../src/version.ts';

const source = 'src';
const files = globSync(`${source}/**/*.ts`).map((file) => normalize(file));

/**
 * What each room may import, beside itself, the leaves (files at the top of src) and packages. A new room is added here
 * on purpose.
 */
const allowed: Readonly<Record<string, readonly string[]>> = {
  leaf: [],
  base: [],
  model: ['base'],
  raft: ['base', 'model'],
  mvcc: ['base', 'model'],
  driver: ['base', 'model', 'raft', 'mvcc'],
  api: ['base', 'model'],
  session: ['base', 'model'],
  tenants: ['base', 'model'],
  routing: ['base', 'model', 'api', 'session'],
  gateway: ['base', 'model', 'api', 'tenants', 'session', 'routing'],
  replica: ['base', 'model', 'raft', 'mvcc', 'driver', 'api', 'tenants', 'session'],
  index: ['gateway', 'replica'],
  front: ['base', 'model', 'api', 'session', 'routing'],
  cli: ['base', 'model', 'api', 'session'],
  bridge: ['base', 'api', 'front', 'cli'],
  server: ['base', 'index', 'gateway', 'replica', 'api', 'front'],
};

const pureParts = ['leaf', 'base', 'model', 'raft', 'mvcc', 'driver', 'api', 'session'];
/** Where a pure room has what only the shells around the core use: the pure parts do not import it. */
const timers = 'src/base/timers.ts';
const impure =
  /\b(?:Date\.now|new Date\(\)|Math\.random|crypto\.|console\.|fetch\(|setTimeout|setInterval|queueMicrotask|scheduler\.|process\.)|\bawait\b|\bPromise\b|\basync\b/;

function partOf(file: string): string {
  const [, first = '', second] = file.split('/');
  if (first === 'index.ts') return 'index';
  return second === undefined ? 'leaf' : first;
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/(^|[^:'"`])\/\/.*$/gm, '$1');
}

function importsOf(file: string): { readonly specifier: string; readonly isType: boolean }[] {
  const text = withoutComments(readFileSync(file, 'utf8'));
  const statements = text.matchAll(/\b(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/g);
  return [...statements].map(([, type, specifier = '']) => ({ specifier, isType: type !== undefined }));
}

describe('PROJECT-1: imports point one way', () => {
  it.each(files)('%s', (file) => {
    const part = partOf(file);
    const may = allowed[part];
    expect(may, `${file} is in no known part`).toBeDefined();
    for (const { specifier } of importsOf(file)) {
      if (!specifier.startsWith('.')) continue;
      const target = normalize(join(dirname(file), specifier));
      const targetPart = partOf(target);
      if (targetPart === part || targetPart === 'leaf' || may?.includes(targetPart)) continue;
      expect.soft(target, `${file} must not import it`).toBeNull();
    }
  });
});

describe('PROJECT-6: no file imports itself by way of others, not even a type', () => {
  const imported = new Map(
    files.map((file) => {
      const relative = importsOf(file).filter(({ specifier }) => specifier.startsWith('.'));
      return [file, relative.map(({ specifier }) => normalize(join(dirname(file), specifier)))];
    }),
  );
  it.each(files)('%s', (file) => {
    const seen = new Set<string>();
    const waiting = [...(imported.get(file) ?? [])];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (seen.has(next)) continue;
      seen.add(next);
      waiting.push(...(imported.get(next) ?? []));
    }
    expect(seen.has(file), `${file} is in a circle`).toBe(false);
  });
});

describe('PROJECT-2: the core knows no clock, chance, network, log or Promise', () => {
  it.each(files.filter((file) => pureParts.includes(partOf(file)) && file !== timers))('%s', (file) => {
    const targets = importsOf(file).map(({ specifier }) => normalize(join(dirname(file), specifier)));
    expect(targets).not.toContain(timers);
    const code = withoutComments(readFileSync(file, 'utf8')).replaceAll(/'(?:[^'\\\n]|\\.)*'/g, "''");
    expect(impure.exec(code)?.[0]).toBeUndefined();
  });
});

describe('PROJECT-3: every bound says its unit and its reason', () => {
  const lines = readFileSync('src/limits.ts', 'utf8').split('\n');
  const bounds = lines.flatMap((line, place) => {
    const name = /^export const (\w+)/.exec(line)?.[1];
    return name === undefined ? [] : [{ name, place }];
  });
  it.each(bounds)('$name', ({ place }) => {
    // A comment directly above, or above the run of constants that this one belongs to.
    let above = place - 1;
    while (lines[above]?.startsWith('export const') === true || lines[above]?.startsWith('  ') === true) above--;
    expect(lines[above]).toMatch(/\*\/$/);
  });
});

describe('PROJECT-4: rules and tests name each other', () => {
  const spec = readFileSync('test/SPEC.md', 'utf8');
  const ruled = new Set([...spec.matchAll(/^- ([A-Z][A-Z0-9-]*-\d+):/gm)].map(([, id]) => id));
  // A test's name begins with the rule's ID. Contract suites and golden scripts name rules in other files than
  // *.test.ts.
  const texts = globSync('test/**/*.{ts,txt}').map((file) => readFileSync(file, 'utf8'));
  const tested = new Set(
    texts.flatMap((text) => [...text.matchAll(/['"`# ]([A-Z][A-Z0-9-]*-\d+):/g)].map(([, id]) => id)),
  );
  it('has each rule once', () => {
    const ids = [...spec.matchAll(/^- ([A-Z][A-Z0-9-]*-\d+):/gm)].map(([, id]) => id);
    expect(ids.filter((id, place) => ids.indexOf(id) !== place)).toEqual([]);
  });
  it('has a test for each rule', () => {
    expect([...ruled].filter((rule) => !tested.has(rule))).toEqual([]);
  });
  it('has a rule for each test', () => {
    expect([...tested].filter((rule) => !ruled.has(rule))).toEqual([]);
  });
});

describe('PROJECT-7: SPEC.md stands in the order of the tree', () => {
  const parts = readFileSync('test/SPEC.md', 'utf8')
    .split(/^## /m)
    .slice(1)
    .filter((part) => !part.startsWith('Glossary'))
    .map((part) => ({ folder: part.slice(0, part.indexOf(':')), ids: [...part.matchAll(/^- ([A-Z0-9-]+-\d+):/gm)] }));
  const rooms = Object.keys(allowed).map((room) => `src/${room}`);
  const expected = [...rooms, 'test'].flatMap((room) =>
    globSync([room, `${room}/**/`])
      .filter((folder) => parts.some((part) => part.folder === folder))
      .toSorted(),
  );
  it('has a part for a folder, from the rooms that import nothing to those that import most, then test/', () => {
    expect(parts.map((part) => part.folder)).toEqual(expected);
  });
  it.each(parts)('has ascending IDs in the part of $folder', ({ ids }) => {
    // Numbers of one width make the order of text that of the prefix, and then of the number.
    const sortable = ids.map(([, id = '']) => id.replace(/\d+$/, (number) => number.padStart(4, '0')));
    expect(sortable).toEqual(sortable.toSorted());
  });
});

describe('PROJECT-17: the table of folders in README.md', () => {
  const rows = [...readFileSync('README.md', 'utf8').matchAll(/^\| `src\/([a-z]+)\//gm)].map(([, room = '']) => room);
  it('has each folder of src', () => {
    const folders = globSync(`${source}/*/`).map((folder) => folder.split('/').at(1) ?? '');
    expect(rows.toSorted()).toEqual(folders.toSorted());
  });
  it.each(rows)('has %s below what it may import', (room) => {
    const above = rows.slice(0, rows.indexOf(room));
    expect((allowed[room] ?? []).filter((other) => rows.includes(other) && !above.includes(other))).toEqual([]);
  });
});

describe('PROJECT-14: a rule names bounds that there are', () => {
  it('has each name in camelCase from limits.ts', () => {
    const rules =
      readFileSync('test/SPEC.md', 'utf8')
        .match(/^- .*$/gm)
        ?.join('\n') ?? '';
    const names = new Set(rules.match(/\b[a-z]+(?:[A-Z][a-z0-9]+)+\b/g));
    names.delete('camelCase');
    const bounds = readFileSync('src/limits.ts', 'utf8');
    expect(names.size).toBeGreaterThan(80);
    expect([...names].filter((name) => !bounds.includes(`export const ${name} `))).toEqual([]);
  });
});

describe('PROJECT-5: the version is told in one place', () => {
  it('is that of package.json', () => {
    expect(version).toBe(packageJson.version);
  });
});
