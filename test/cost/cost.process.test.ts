// The command line of `npm run cost`.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

function run(...words: readonly string[]) {
  const main = fileURLToPath(import.meta.resolve('./main.ts'));
  return spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...words], { encoding: 'utf8' });
}

it('COST-4: the help names every option; what is wrong ends with 2 and is named', () => {
  const { status, stdout } = run('--help');
  expect(status).toBe(0);
  for (const name of ['puts', 'keys', 'json', 'help']) expect(stdout).toContain(`--${name} `);
  for (const words of [['--puts', '0'], ['--keys', 'x'], ['--unknown']]) {
    const refused = run(...words);
    expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining(words[0] ?? '')]);
  }
});
