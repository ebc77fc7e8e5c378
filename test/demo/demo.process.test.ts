import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

it('DEMO-1: the demo runs to its end and finds no violation', async () => {
  const main = fileURLToPath(import.meta.resolve('./main.ts'));
  const { stdout } = await promisify(execFile)(process.execPath, ['--disable-warning=ExperimentalWarning', main]);
  expect(stdout.match(/^ {2}holds: /gm)).toHaveLength(3);
  expect(stdout).toMatch(/\nNo violation\.\n$/);
});
