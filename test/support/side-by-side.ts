// Runs scripts of package.json side by side: `node test/support/side-by-side.ts check:lint check:types check:tests`.
// The output of the last script is shown as it comes, and that of each other one when it has ended. The first script
// that fails ends all the others.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import packageJson from '../../package.json' with { type: 'json' };

const scripts: ReadonlyMap<string, string> = new Map(Object.entries(packageJson.scripts));

type Running = { readonly name: string; readonly child: ChildProcess; readonly end: Promise<End> };
type End = { readonly code: number; readonly output: string };

function start(name: string, isShown: boolean): Running {
  const command = scripts.get(name);
  if (command === undefined) throw new Error(`package.json has no script ${name}`);
  const to = isShown ? 'inherit' : 'pipe';
  // With `exec` there is no shell between this process and the command, so a signal reaches the command itself.
  const child = spawn('sh', ['-c', `exec ${command}`], { stdio: ['ignore', to, to] });
  return { name, child, end: endOf(child) };
}

async function endOf(child: ChildProcess): Promise<End> {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (part: string) => {
      output += part;
    });
  }
  await once(child, 'close');
  return { code: child.exitCode ?? 1, output };
}

async function main(names: readonly string[]): Promise<void> {
  const running = names.map((name, place) => start(name, place === names.length - 1));
  await Promise.all(
    running.map(async ({ name, end }) => {
      const { code, output } = await end;
      // Another one has failed before, and this one was told to end.
      if (process.exitCode === 1) return;
      process.stdout.write(`${output}${name}: ${code === 0 ? 'passed' : 'failed'}\n`);
      if (code === 0) return;
      process.exitCode = 1;
      for (const { child } of running) child.kill('SIGTERM');
    }),
  );
}

await main(process.argv.slice(2));
