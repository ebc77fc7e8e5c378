// What a linter does not see. Each check is a function of source texts, and is shown to find what is planted.

import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { all as failureSamples } from '../api/errors/failure-samples.ts';

/** By file. Code of earlier levels is kept as it was built. */
type Sources = ReadonlyMap<string, string>;

const columnsMax = 120;

function readSources(...patterns: readonly string[]): Sources {
  const files = globSync([...patterns]).map((file) => normalize(file));
  const written = files.filter((file) => !file.startsWith('test/support/levels/'));
  return new Map(written.map((file) => [file, readFileSync(file, 'utf8')]));
}

const code = readSources('{src,test}/**/*.ts', '*.ts');

function longComments(sources: Sources): string[] {
  return [...sources].flatMap(([file, text]) =>
    text.split('\n').flatMap((line, index) => {
      const isComment = /^\s*(?:\/\/|\/?\*)/.test(line);
      return isComment && line.length > columnsMax ? [`${file}:${index + 1} has ${line.length} columns`] : [];
    }),
  );
}

describe(`PROJECT-10: no line of a comment is over ${columnsMax} columns`, () => {
  it('holds for all code', () => {
    expect(longComments(code)).toEqual([]);
  });
  it('finds one that is', () => {
    const planted = [
      `// ${'x'.repeat(117)}`,
      `  /** ${'x'.repeat(115)}`,
      `   * ${'x'.repeat(116)}`,
      `f('${'x'.repeat(200)}');`,
    ];
    expect(longComments(new Map([['a.ts', planted.join('\n')]]))).toEqual([
      'a.ts:2 has 121 columns',
      'a.ts:3 has 121 columns',
    ]);
  });
});

const importStatement = /^(?:import|export)\s+(?:type\s+)?([^'";]*?)\s*\bfrom\s+'(\.[^']+)'/gm;
const exportStatement = /^export\s+(?:abstract\s+)?(?:async\s+)?(const|function\*?|class|type|interface)\s+(\w+)/gm;

/** What the runtime or a tool imports, by no statement of this code. */
const entries = new Set([
  'src/index.ts',
  'src/server/faults/worker-with-faults.ts',
  'test/measure/flush-worker.ts',
  'test/cost/worker.ts',
  'vitest.config.ts',
]);
/** Exports of src that only tests use: they let a test look at all of something, or at how it is done. */
const forTests = new Set(['src/mvcc/snapshot/snapshot-source.ts pageStatements']);

/** By file: who imports which of its names. `*`: all of them. */
function importersOf(sources: Sources): Map<string, { readonly name: string; readonly by: string }[]> {
  const importers = new Map<string, { readonly name: string; readonly by: string }[]>();
  const note = (by: string, specifier: string, name: string): void => {
    const file = normalize(join(dirname(by), specifier));
    importers.set(file, [...(importers.get(file) ?? []), { name, by }]);
  };
  for (const [by, text] of sources) {
    for (const [, clause = '', specifier = ''] of text.matchAll(importStatement)) {
      if (clause.includes('*')) note(by, specifier, '*');
      const names = /\{([^}]*)\}/.exec(clause)?.[1]?.split(',') ?? [];
      for (const name of names)
        note(
          by,
          specifier,
          name
            .trim()
            .replace(/^type\s+/, '')
            .split(/\s+as\s+/)[0] ?? '',
        );
    }
    for (const [, specifier = ''] of text.matchAll(/\bimport\('(\.[^']+)'\)/g)) note(by, specifier, '*');
  }
  return importers;
}

function timesNamed(name: string, text: string): number {
  const withoutComments = text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/(^|\s)\/\/.*$/gm, '');
  return [...withoutComments.matchAll(new RegExp(`\\b${name}\\b`, 'g'))].length;
}

/**
 * A value is exported for another file. A type may be exported beside the function or the class that names it. What
 * src exports, src uses: in that file, or in another.
 */
function unusedExports(sources: Sources): string[] {
  const importers = importersOf(sources);
  return [...sources].flatMap(([file, text]) => {
    if (entries.has(file)) return [];
    return [...text.matchAll(exportStatement)].flatMap(([, kind = '', name = '']) => {
      const users = (importers.get(file) ?? []).filter((each) => each.name === name || each.name === '*');
      const isType = kind === 'type' || kind === 'interface';
      const isNamedHere = timesNamed(name, text) > 1;
      const isUsed = users.length > 0 || (isType && isNamedHere);
      if (!isUsed) return [`${file} exports ${name}, which no other file imports`];
      const isOfTests = file.startsWith('test/') || forTests.has(`${file} ${name}`);
      if (isOfTests || isNamedHere || users.some(({ by }) => !by.startsWith('test/'))) return [];
      return [`${file} exports ${name}, which only tests use`];
    });
  });
}

describe('PROJECT-11: every export is used', () => {
  it('holds for all code', () => {
    expect(unusedExports(code)).toEqual([]);
  });
  it('finds an export that nobody imports, and one of src that only tests do', () => {
    const planted = new Map([
      [
        'src/a.ts',
        'export const one = 1;\nexport function two(): Two {}\nexport type Two = 2;\nexport class Three {}\n',
      ],
      ['src/b.ts', "import { two as other } from './a.ts';\nexport type Lonely = 1;"],
      ['test/a.test.ts', "import { Three } from '../src/a.ts';\nexport const four = 4; // four\n"],
    ]);
    expect(unusedExports(planted)).toEqual([
      'src/a.ts exports one, which no other file imports',
      'src/a.ts exports Three, which only tests use',
      'src/b.ts exports Lonely, which no other file imports',
      'test/a.test.ts exports four, which no other file imports',
    ]);
  });
});

/** Bounds that the product does not read: not beside their definition, nor to derive another. */
function unreadLimits(limits: string, product: Sources): string[] {
  const texts = [...product.values()];
  return [...limits.matchAll(/^export const (\w+)/gm)]
    .map(([, name = '']) => name)
    .filter((name) => timesNamed(name, limits) === 1 && !texts.some((text) => timesNamed(name, text) > 0));
}

describe('PROJECT-12: every bound is read by the product', () => {
  it('holds for limits.ts', () => {
    const product = new Map([...code].filter(([file]) => file.startsWith('src/') && file !== 'src/limits.ts'));
    expect(unreadLimits(code.get('src/limits.ts') ?? '', product)).toEqual([]);
  });
  it('finds one that is not', () => {
    const limits = 'export const readMax = 1;\nexport const baseMax = 2;\nexport const derivedMax = 2 * baseMax;\n';
    expect(unreadLimits(limits, new Map([['src/a.ts', 'f(readMax); // derivedMax']]))).toEqual(['derivedMax']);
  });
});

/** Kinds of failure of which no value is made. `makers` is the code beside that which describes kinds on the wire. */
function unmadeKinds(kinds: readonly string[], makers: Sources): string[] {
  const made = new Set(
    [...makers.values()].flatMap((text) => {
      const literals = text.matchAll(/(?<!readonly )\bkind:(?:[^;,{}']*[?:])? '(\w+)'(?: : '(\w+)')?/g);
      return [...literals].flatMap(([, one, other]) => [one, other]);
    }),
  );
  return kinds.filter((kind) => !made.has(kind));
}

describe('PROJECT-13: every kind of failure is made somewhere', () => {
  it('holds for all of them', () => {
    const makers = [...code].filter(([file]) => file.startsWith('src/') && !file.startsWith('src/api/errors/'));
    expect(unmadeKinds(Object.keys(failureSamples), new Map(makers))).toEqual([]);
  });
  it('finds one that is only declared, compared or described', () => {
    const text = [
      "type Failure = { readonly kind: 'declared' };",
      "if (failure.kind === 'compared') return;",
      "return { kind: 'made' };",
      "return { kind: is ? 'first' : 'second' };",
    ];
    const kinds = ['declared', 'compared', 'made', 'first', 'second'];
    expect(unmadeKinds(kinds, new Map([['src/a.ts', text.join('\n')]]))).toEqual(['declared', 'compared']);
  });
});
