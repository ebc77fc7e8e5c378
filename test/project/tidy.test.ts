// What a linter does not see. Each check is a function of source texts, and is shown to find what is planted.

import { globSync, readFileSync } from 'node:fs';
import { normalize } from 'node:path';
import { describe, expect, it } from 'vitest';

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
