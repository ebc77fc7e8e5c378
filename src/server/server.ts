// A running Quorate server: the order in which its parts start and end. Prints nothing and ends no process; main.ts
// does.

import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { ServeOptions } from './arguments.ts';
import { DataFolder, type FirstTenant } from './data-folder.ts';
import { errorMessage, ServerFailure } from './failure.ts';
import { openFaultPort, type FaultPort } from './faults/fault-port.ts';
import { objectFaults } from './faults/fault-calls.ts';
import { ensureFirstTenant } from './first-tenant.ts';
import { type EtcdListener, openEtcdListeners } from './etcd-listeners.ts';
import { Front } from '../front/front.ts';
import { type PortOptions, urlOfPort } from '../front/port.ts';
import { PortTls, type TlsFiles } from '../front/port-tls.ts';
import { applyMigrations } from './migrations.ts';
import { addressFailure, startRuntime, type Runtime } from './runtime.ts';
import { startSchedule } from './schedule.ts';
import { bundleWorker } from './worker-bundle.ts';
import { readWorkerSettings } from './worker-settings.ts';

export type RunningServer = {
  readonly url: URL;
  readonly operatorToken: string;
  readonly tenant: FirstTenant;
  readonly etcd: readonly EtcdListener[];
  readonly faultUrl: URL | null;
  readonly close: () => Promise<void>;
};

/**
 * `onDeath` is called at most once, when the runtime ended without being told to. `say` is told of certificates that
 * are read again. @throws ServerFailure
 */
export async function startServer(
  options: ServeOptions,
  { onDeath, say }: { readonly onDeath: () => void; readonly say: (line: string) => void },
): Promise<RunningServer> {
  const closers: (() => Promise<void> | void)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).toReversed()) await close();
  };
  try {
    const folder = await DataFolder.open(options.dataFolder);
    closers.push(() => folder.close());
    const secrets = folder.secrets(process.env['QUORATE_OPERATOR_TOKEN'] || undefined);
    const faultToken = options.faultPort === null ? null : randomBytes(32).toString('base64url');
    // Begun last and ended after its clients were let go: the port is taken before.
    let started: Runtime | null = null;
    closers.push(() => started?.close());
    const secured = (files: TlsFiles): PortTls => {
      const tls = tlsOf(files, say);
      closers.push(() => tls.close());
      return tls;
    };
    const { tls } = options;
    const ofApi = tls === null ? {} : { tls: secured({ ...tls, clientCa: null }) };
    const front = options.direct ? null : await listen(options, ofApi);
    if (front !== null) closers.push(() => front.close());
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
      ...(front === null ? { host: options.host, port: options.port } : loopback),
      inspectorPort: options.inspectorPort,
      onDeath,
    });
    started = runtime;
    await applyMigrations(runtime.directory, sourcePath('../../migrations'));
    const api = { url: runtime.url, operatorToken: secrets.operatorToken };
    const tenant = await ensureFirstTenant(api, folder);
    closers.push(startSchedule(runtime.runSchedule));
    const faultPort = await maybeOpenFaultPort(options.faultPort, faultToken, runtime.url);
    if (faultPort !== null) closers.push(faultPort.close);
    const etcd =
      front === null
        ? []
        : await openEtcdListeners({
            wanted: options.etcd,
            front,
            api,
            folder,
            first: tenant,
            secure: () => (tls === null ? {} : { tls: secured(tls) }),
          });
    front?.open({ host: runtime.url.hostname, port: Number(runtime.url.port) });
    return {
      url: front === null ? runtime.url : urlOf(tls === null ? 'http' : 'https', options.host, front.port),
      operatorToken: secrets.operatorToken,
      tenant,
      etcd,
      faultUrl: faultPort?.url ?? null,
      close: closeAll,
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/**
 * The runtime's own port, behind the front: any free one of this machine's own. What it grants, the front grants too.
 */
const loopback = { host: '127.0.0.1', port: 0 } as const;

async function listen({ host, port }: ServeOptions, tls: Pick<PortOptions, 'tls'>): Promise<Front> {
  try {
    return await Front.listen({ host, port, ...tls });
  } catch (error) {
    throw addressFailure(error, { host, port, option: '--port' });
  }
}

/** An address that stands for all of the machine's is not one to connect to. */
function urlOf(scheme: 'http' | 'https', host: string, port: number): URL {
  return new URL(urlOfPort(scheme, host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host, port));
}

function tlsOf(files: TlsFiles, say: (line: string) => void): PortTls {
  try {
    return new PortTls(files, say);
  } catch (error) {
    throw new ServerFailure(errorMessage(error));
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
