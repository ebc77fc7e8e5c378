// The local runtime: Miniflare with one Worker on its direct socket. This file owns workerd from its start to its end:
// workerd never outlives this process (run-workerd.sh), and its death is reported and not hidden by a restart.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Log, LogLevel, Miniflare, type MiniflareOptions } from 'miniflare';
import { errorCode, errorMessage, ServerFailure } from './failure.ts';
import type { WorkerSettings } from './worker-settings.ts';
import { isWorkerd } from './workerd-process.ts';

const workerName = 'quorate';

export type RuntimeOptions = {
  readonly script: string;
  readonly settings: WorkerSettings;
  /** The text bindings of the Worker: secrets and variables. */
  readonly texts: Readonly<Record<string, string>>;
  readonly storePath: string;
  readonly runtimePidFile: string;
  readonly temporaryPath: string;
  readonly host: string;
  readonly port: number;
  readonly inspectorPort: number | null;
  /** Called at most once, when workerd ends without having been told to. */
  readonly onDeath: () => void;
};

export type Runtime = {
  readonly url: URL;
  readonly directory: D1Database;
  /** Does what the deployed Worker does at its cron trigger. */
  readonly runSchedule: () => Promise<void>;
  readonly close: () => Promise<void>;
};

/** @throws ServerFailure where the address cannot be used or workerd does not start. */
export async function startRuntime(options: RuntimeOptions): Promise<Runtime> {
  await checkAddress(options.host, options.port);
  prepareLaunch(options);
  let ended = false;
  const miniflare = new Miniflare(
    miniflareOptions(options, () => {
      if (ended) return;
      ended = true;
      options.onDeath();
    }),
  );
  leaveSignalsToServer();
  try {
    await miniflare.ready;
    const processId = Number(readFileSync(options.runtimePidFile, 'utf8'));
    return {
      url: reachable(await miniflare.unsafeGetDirectURL(workerName)),
      directory: await miniflare.getD1Database('DIRECTORY', workerName),
      runSchedule: async () => {
        try {
          const worker = await miniflare.getWorker(workerName);
          await worker.scheduled();
        } catch (error) {
          // Why a runtime that has died does not run its schedule is told by onDeath.
          if (isWorkerd(processId)) throw error;
        }
      },
      close: async () => {
        ended = true;
        await miniflare.dispose();
      },
    };
  } catch (error) {
    ended = true;
    await miniflare.dispose();
    throw startFailure(error, options);
  }
}

function miniflareOptions(options: RuntimeOptions, onDeath: () => void): MiniflareOptions {
  return {
    log: new RuntimeLog(onDeath),
    handleStructuredLogs: ({ level, message }) => {
      process.stderr.write(`${level}: ${message}\n`);
    },
    // Miniflare calls this when it has started a new workerd in place of one that died.
    unsafeHandleRuntimeRestart: onDeath,
    // Clients reach the direct socket. Miniflare's own entry, a proxy, must not take a fixed port from anyone.
    host: '127.0.0.1',
    port: 0,
    // Without this Miniflare asks the network where it is.
    cf: false,
    telemetry: { enabled: false },
    resourcePersistencePath: options.storePath,
    ...(options.inspectorPort === null ? {} : { inspectorHost: '127.0.0.1', inspectorPort: options.inspectorPort }),
    workers: [
      {
        config: {
          name: workerName,
          compatibilityDate: options.settings.compatibilityDate,
          compatibilityFlags: [...options.settings.compatibilityFlags],
          manifest: {
            mainModule: 'worker.mjs',
            modulesRoot: '/',
            modules: { 'worker.mjs': { type: 'esm', contents: options.script } },
          },
          env: {
            DIRECTORY: { type: 'd1', id: 'directory' },
            REPLICA: { type: 'durable-object', worker: workerName, exportName: 'Replica' },
            ...textBindings(options.texts),
          },
          exports: { Replica: { type: 'durable-object', storage: 'sqlite' } },
        },
        dev: {
          unsafeDirectSockets: [{ host: options.host, port: options.port }],
          ...(options.inspectorPort === null ? {} : { unsafeInspectorProxy: true }),
        },
      },
    ],
  };
}

function textBindings(texts: Readonly<Record<string, string>>): Record<string, { type: 'text'; value: string }> {
  return Object.fromEntries(Object.entries(texts).map(([name, value]) => [name, { type: 'text', value }] as const));
}

/** Miniflare logs a restart that failed, and then stays up without a runtime. That counts as workerd's death, too. */
class RuntimeLog extends Log {
  readonly #onDeath: () => void;

  constructor(onDeath: () => void) {
    super(LogLevel.NONE);
    this.#onDeath = onDeath;
  }

  override error(message: Error): void {
    if (errorCode(message) === 'ERR_RUNTIME_FAILURE') this.#onDeath();
    else process.stderr.write(`error: ${message.message}\n`);
  }
}

/**
 * Sets what Miniflare reads from the environment alone: the program to start as workerd, and the folder of temporary
 * files.
 */
function prepareLaunch(options: RuntimeOptions): void {
  const workerd: unknown = createRequire(createRequire(import.meta.url).resolve('miniflare'))('workerd');
  const program = typeof workerd === 'object' && workerd !== null && 'default' in workerd ? workerd.default : null;
  if (typeof program !== 'string')
    throw new ServerFailure('the package workerd does not say where its program is; run npm ci again');
  process.env['QUORATE_WORKERD'] = process.env['QUORATE_WORKERD'] ?? program;
  process.env['QUORATE_WORKERD_PID_FILE'] = options.runtimePidFile;
  process.env['TMPDIR'] = options.temporaryPath;
  process.env['MINIFLARE_WORKERD_PATH'] = fileURLToPath(import.meta.resolve('./run-workerd.sh'));
}

/** At a signal Miniflare would end the process at once and with its own exit code. The server ends itself instead. */
function leaveSignalsToServer(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.removeAllListeners(signal);
}

/** Tries the address before Miniflare does, because the system's error names the reason. */
async function checkAddress(host: string, port: number): Promise<void> {
  const probe = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once('error', reject);
      probe.listen({ host, port, exclusive: true }, resolve);
    });
    await new Promise<void>((resolve) => {
      probe.close(() => resolve());
    });
  } catch (error) {
    throw addressFailure(error, { host, port, option: '--port' });
  }
}

/** An address, and the option that chose its port. */
export type ChosenAddress = { readonly host: string; readonly port: number; readonly option: '--port' | '--etcd' };

/** Why an address cannot be listened on, in a person's words. */
export function addressFailure(error: unknown, { host, port, option }: ChosenAddress): ServerFailure {
  switch (errorCode(error) ?? 'none') {
    case 'EADDRINUSE':
    case 'ERR_ADDRESS_IN_USE':
      return new ServerFailure(
        `port ${port} on ${host} is in use; choose another one with ${option} (0 takes any free one)`,
      );
    case 'EACCES':
      return new ServerFailure(
        `port ${port} on ${host} needs rights that this user does not have; choose one above 1023 with ${option}`,
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new ServerFailure(`${host} is not an address of this machine; choose another one with --host`);
    default:
      return new ServerFailure(`cannot listen on ${host}, port ${port}: ${errorMessage(error)}`);
  }
}

function startFailure(error: unknown, options: RuntimeOptions): ServerFailure {
  if (error instanceof ServerFailure) return error;
  if (errorCode(error) === 'ERR_ADDRESS_IN_USE') {
    return addressFailure(error, { host: options.host, port: options.port, option: '--port' });
  }
  return new ServerFailure(`the runtime did not start: ${errorMessage(error)}`);
}

/** An address that stands for all addresses of the machine is not one to connect to. */
function reachable(url: URL): URL {
  if (url.hostname === '0.0.0.0') url.hostname = '127.0.0.1';
  if (url.hostname === '[::]') url.hostname = '[::1]';
  return url;
}
