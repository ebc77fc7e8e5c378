// `node test/support/levels/main.ts LEVEL COMMIT`: bundles the driver and the envelopes of that commit, the last one
// whose newest level of groups is LEVEL, as level-LEVEL.js. One line of `test/sim/platform/code.ts` puts it into groups.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const parts = [
  "export { Driver } from './src/driver/driver.ts';",
  "export { decodeEnvelope, encodeEnvelope } from './src/driver/envelope.ts';",
];

async function main(level: string, commit: string): Promise<void> {
  const name = execFileSync('git', ['rev-parse', '--short', commit], { encoding: 'utf8' }).trim();
  const folder = mkdtempSync(join(tmpdir(), 'quorate-level-'));
  try {
    const sources = execFileSync('git', ['archive', commit, 'src'], { maxBuffer: 2 ** 28 });
    execFileSync('tar', ['-x', '-C', folder], { input: sources });
    const banner = `// The driver and the envelopes as they were when the newest level of groups was ${level}, bundled by main.ts from commit ${name}.`;
    const { outputFiles } = await build({
      stdin: { contents: parts.join('\n'), resolveDir: folder },
      bundle: true,
      format: 'esm',
      platform: 'node',
      minify: true,
      write: false,
      banner: { js: banner },
    });
    const [bundle] = outputFiles;
    if (bundle === undefined) throw new Error('esbuild wrote nothing');
    const file = (ending: string): string => fileURLToPath(import.meta.resolve(`./level-${level}.${ending}`));
    writeFileSync(file('js'), bundle.contents);
    writeFileSync(file('d.ts'), declaration);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Code since level 4 is used as the present code is. Where that changes, a declaration is written by hand. */
const declaration = `// What tests use of this level's code has the types of today.
export { Driver } from '../../../src/driver/driver.ts';
export { decodeEnvelope, encodeEnvelope } from '../../../src/driver/envelope.ts';
`;

const [level, commit] = process.argv.slice(2);
if (level === undefined || commit === undefined) throw new Error('a level and a commit are needed');
await main(level, commit);
