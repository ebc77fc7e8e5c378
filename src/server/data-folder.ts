// The folder that holds everything a server keeps: its lock, its format, its secrets, the first tenant, the stores. One
// server at a time owns a folder. The secret files in it can be read by their owner alone.

import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { secretFault } from '../gateway/settings.ts';
import { errorCode, errorMessage, ServerFailure } from './failure.ts';
import { isWorkerd } from './workerd-process.ts';

/** Raised when a newer server writes what this one could not read. */
const folderFormat = 1;
/** How long a new server waits for the workerd of one that was killed: it dies within milliseconds of its server. */
const formerRuntimeWaitMs = 3_000;
const secretBytes = 32;
const serverPidFile = 'server.pid';

export type Secrets = { readonly operatorToken: string; readonly serviceSecret: string };
export type FirstTenant = { readonly id: string; readonly name: string; readonly key: string };

export class DataFolder {
  readonly path: string;
  /** Where the runtime keeps the Durable Objects and D1. */
  readonly storePath: string;
  readonly runtimePidFile: string;
  /** Emptied at each start. */
  readonly temporaryPath: string;
  readonly #lock: DatabaseSync;

  private constructor(path: string, lock: DatabaseSync) {
    this.path = path;
    this.storePath = join(path, 'store');
    this.runtimePidFile = join(path, 'runtime.pid');
    this.temporaryPath = join(path, 'temporary');
    this.#lock = lock;
  }

  /**
   * @throws ServerFailure where the folder cannot be written, is of a newer format, or belongs to another running
   * server.
   */
  static async open(folder: string): Promise<DataFolder> {
    const path = resolve(folder);
    let lock: DatabaseSync | null = null;
    try {
      makeFolder(path);
      lock = takeLock(path);
      checkFormat(path);
      const opened = new DataFolder(path, lock);
      await opened.#formerRuntimeGone();
      return opened;
    } catch (error) {
      lock?.close();
      if (error instanceof ServerFailure) throw error;
      throw new ServerFailure(
        `cannot write to the data folder ${path}: ${systemReason(error)} (--data chooses another one)`,
      );
    }
  }

  /**
   * The secrets are made at the first start and kept. An operator's token from the environment counts for this run and
   * is not kept.
   */
  secrets(operatorTokenGiven: string | undefined): Secrets {
    const file = join(this.path, 'secrets.json');
    let kept = readStrings(file, ['operator_token', 'service_secret']);
    if (kept === null) {
      kept = { operator_token: newSecret(), service_secret: newSecret() };
      writeSecretFile(file, kept);
    }
    checkSecret(file, 'operator_token', kept.operator_token);
    // While it is being replaced, there are several.
    for (const secret of kept.service_secret.split(',')) checkSecret(file, 'service_secret', secret);
    const fault = operatorTokenGiven === undefined ? null : secretFault(operatorTokenGiven);
    if (fault !== null) {
      throw new ServerFailure(
        `QUORATE_OPERATOR_TOKEN ${fault}: make one with "openssl rand -base64 32", or leave it unset`,
      );
    }
    return { operatorToken: operatorTokenGiven ?? kept.operator_token, serviceSecret: kept.service_secret };
  }

  firstTenant(): FirstTenant | null {
    return readStrings(this.#tenantFile(), ['id', 'name', 'key']);
  }

  keepFirstTenant(tenant: FirstTenant): void {
    writeSecretFile(this.#tenantFile(), tenant);
  }

  /** The access key that a port for etcd's clients has of this tenant; null: there is none. */
  listenerKey(tenantId: string): string | null {
    return readStrings(this.#listenerFile(tenantId), ['key'])?.key ?? null;
  }

  keepListenerKey(tenantId: string, key: string): void {
    writeSecretFile(this.#listenerFile(tenantId), { key });
  }

  close(): void {
    this.#lock.close();
  }

  /** An id is of letters and digits. */
  #listenerFile(tenantId: string): string {
    return join(this.path, `etcd-${tenantId}.json`);
  }

  #tenantFile(): string {
    return join(this.path, 'tenant.json');
  }

  /**
   * Two runtimes must not have the same databases open, and the runtime of a killed server may live a moment longer
   * than the server.
   */
  async #formerRuntimeGone(): Promise<void> {
    const processId = existsSync(this.runtimePidFile) ? Number(readFileSync(this.runtimePidFile, 'utf8')) : 0;
    if (processId > 0) {
      const deadline = Date.now() + formerRuntimeWaitMs;
      while (isWorkerd(processId) && Date.now() < deadline) await sleep(20);
    }
    rmSync(this.runtimePidFile, { force: true });
    rmSync(this.temporaryPath, { recursive: true, force: true });
    mkdirSync(this.temporaryPath);
  }
}

/**
 * Begins an exclusive transaction that is never ended: the system drops it with the process, however the process ends.
 */
function takeLock(path: string): DatabaseSync {
  const lock = new DatabaseSync(join(path, 'lock.sqlite'));
  try {
    lock.exec('BEGIN EXCLUSIVE');
    // The file tells others which process has the folder. It may name a server that has ended; what counts is the lock.
    writeFileSync(join(path, serverPidFile), String(process.pid));
    return lock;
  } catch (error) {
    lock.close();
    if (!errorMessage(error).includes('locked')) throw error;
    throw new ServerFailure(
      `the data folder ${path} is in use by another server${processOf(path)}: end that one, or choose another folder with --data`,
    );
  }
}

function processOf(path: string): string {
  const file = join(path, serverPidFile);
  return existsSync(file) ? `, process ${readFileSync(file, 'utf8')}` : '';
}

/**
 * Node's `mkdirSync` with `recursive` does not return where the system answers ENOENT for a parent that exists (/proc).
 */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

function checkFormat(path: string): void {
  const file = join(path, 'format.json');
  if (!existsSync(file)) {
    writeFileSync(file, `${JSON.stringify({ format: folderFormat })}\n`);
    return;
  }
  const content = readJson(file);
  const format = typeof content === 'object' && content !== null && 'format' in content ? content.format : null;
  if (typeof format !== 'number') throw damaged(file);
  if (format > folderFormat) {
    throw new ServerFailure(
      `the data folder ${path} has format ${format}, made by a newer version; this version reads up to ${folderFormat}: run the newer one, or choose another folder with --data`,
    );
  }
}

/** The named members of a JSON file, all of them strings. Null: the file does not exist. */
function readStrings<Name extends string>(file: string, names: readonly Name[]): Record<Name, string> | null {
  if (!existsSync(file)) return null;
  const content = readJson(file);
  if (typeof content !== 'object' || content === null) throw damaged(file);
  const members = new Map<string, unknown>(Object.entries(content));
  const entries = names.map((name) => {
    const value = members.get(name);
    if (typeof value !== 'string' || value === '') throw damaged(file);
    return [name, value] as const;
  });
  // The entries were made from `names`, so the record has exactly these members.
  return Object.fromEntries(entries) as Record<Name, string>;
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) throw damaged(file);
    throw error;
  }
}

/** Writes the file whole or not at all: with half a secret, the keys of all tenants would be lost. */
function writeSecretFile(file: string, content: object): void {
  const unfinished = `${file}.new`;
  writeFileSync(unfinished, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600, flush: true });
  // A file of that name from an earlier, unfinished write would have kept its own mode.
  chmodSync(unfinished, 0o600);
  renameSync(unfinished, file);
}

/** People edit the file, to replace a secret. */
function checkSecret(file: string, name: string, secret: string): void {
  const fault = secretFault(secret);
  if (fault === null) return;
  throw new ServerFailure(`${name} in ${file} ${fault}: make one with "openssl rand -base64 32"`);
}

function newSecret(): string {
  return randomBytes(secretBytes).toString('base64url');
}

const restoreIt = 'Restore it from a copy';

/** What to do about a damaged file, where restoring the file is not the whole advice. */
const restoring: ReadonlyMap<string, string> = new Map([
  ['secrets.json', `${restoreIt}: without it no access key opens its store any more`],
  ['tenant.json', `${restoreIt}, or remove it: the next start then makes another access key for the first tenant`],
]);

function damaged(file: string): ServerFailure {
  return new ServerFailure(
    `${file} is damaged: it is not the JSON that the server wrote. ${restoring.get(basename(file)) ?? restoreIt}`,
  );
}

function systemReason(error: unknown): string {
  switch (errorCode(error) ?? 'none') {
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'EEXIST':
    case 'ENOTDIR':
      return 'it is not a folder';
    case 'ENOENT':
      return 'it cannot be made there';
    case 'EROFS':
      return 'the file system is read-only';
    case 'ENOSPC':
      return 'the disk is full';
    default:
      return errorMessage(error);
  }
}
