// Bundles the Worker into one ES module, anew at every start, so that the present source runs.

import { build, stop } from 'esbuild';
import { errorMessage, ServerFailure } from './failure.ts';

/** @throws ServerFailure with esbuild's first error where the source does not bundle. */
export async function bundleWorker(entry: string): Promise<string> {
  try {
    const result = await build({
      entryPoints: [entry],
      bundle: true,
      write: false,
      format: 'esm',
      target: 'es2024',
      conditions: ['workerd', 'worker', 'browser'],
      external: ['cloudflare:*', 'node:*'],
      sourcemap: 'inline',
      logLevel: 'silent',
    });
    const [output] = result.outputFiles;
    if (output === undefined) throw new ServerFailure(`${entry} bundled to nothing`);
    return output.text;
  } catch (error) {
    if (error instanceof ServerFailure) throw error;
    throw new ServerFailure(`the Worker does not bundle: ${errorMessage(error).split('\n').slice(0, 2).join(' ')}`);
  } finally {
    // esbuild keeps a process of its own, which is not needed any more.
    await stop();
  }
}
