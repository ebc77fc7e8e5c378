// A running Quorate server: the order in which its parts start and end. Prints nothing and ends no process; main.ts
// does.

import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { ServeOptions } from './arguments.ts';
import { DataFolder, type FirstTenant } from './data-folder.ts';
import { openFaultPort, type FaultPort } from './faults/fault-port.ts';
import { objectFaults } from './faults/fault-calls.ts';
import { ensureFirstTenant } from './first-tenant.ts';
import { applyMigrations } from './migrations.ts';
import { startRuntime } from './runtime.ts';
import { bundleWorker } from './worker-bundle.ts';
import { readWorkerSettings } from './worker-settings.ts';

export type RunningServer = {
  readonly url: URL;
  readonly operatorToken: string;
  readonly tenant: FirstTenant;
  readonly faultUrl: URL | null;
  readonly close: () => Promise<void>;
};

/** `onDeath` is called at most once, when the runtime ended without being told to. @throws ServerFailure */
export async function startServer(options: ServeOptions, onDeath: () => void): Promise<RunningServer> {
  const closers: (() => Promise<void> | void)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).toReversed()) await close();
  };
  try {
    const folder = await DataFolder.open(options.dataFolder);
    closers.push(() => folder.close());
    const secrets = folder.secrets(process.env['QUORATE_OPERATOR_TOKEN'] || undefined);
    const faultToken = options.faultPort === null ? null : randomBytes(32).toString('base64url');
    const runtime = await startRuntime({
      script: await bundleWorker(sourcePath(faultToken === null ? '../index.ts' : './faults/worker-with-faults.ts')),
      settings: readWorkerSettings(sourcePath('../../wrangler.toml')),
      texts: {
        OPERATOR_TOKEN: secrets.operatorToken,
        SERVICE_SECRET: secrets.serviceSecret,
        ...(faultToken === null ? {} : { FAULT_TOKEN: faultToken }),
      },
      storePath: folder.storePath,
      runtimePidFile: folder.runtimePidFile,
      temporaryPath: folder.temporaryPath,
      host: options.host,
      port: options.port,
      inspectorPort: options.inspectorPort,
      onDeath,
    });
    closers.push(runtime.close);
    await applyMigrations(runtime.directory, sourcePath('../../migrations'));
    const tenant = await ensureFirstTenant({ url: runtime.url, operatorToken: secrets.operatorToken }, folder);
    const faultPort = await maybeOpenFaultPort(options.faultPort, faultToken, runtime.url);
    if (faultPort !== null) closers.push(faultPort.close);
    return {
      url: runtime.url,
      operatorToken: secrets.operatorToken,
      tenant,
      faultUrl: faultPort?.url ?? null,
      close: closeAll,
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function maybeOpenFaultPort(
  port: number | null,
  token: string | null,
  workerUrl: URL,
): Promise<FaultPort | null> {
  if (port === null || token === null) return null;
  return await openFaultPort({ port, workerUrl, objects: objectFaults(workerUrl, token) });
}

function sourcePath(relative: string): string {
  return fileURLToPath(import.meta.resolve(relative));
}
