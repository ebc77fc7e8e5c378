// What the service does by itself at times: a cron trigger of the deployed Worker, or the server's clock, asks for it.

import { DirectoryUnavailable, Directory } from '../tenants/directory.ts';
import { KeyRing } from '../tenants/key-text.ts';
import { Signatures } from '../tenants/signatures.ts';
import { DueWipes } from './due-wipes.ts';
import type { Env } from './env.ts';
import { GroupRouter } from './group-router.ts';
import { Provisioning } from './provisioning.ts';
import { ToldTerms } from './told-terms.ts';

/**
 * Tells groups what they are to know, and wipes the tenants whose time has come. The next run goes on with what this
 * one cannot do.
 */
export async function runSchedule(env: Env, nowMs: number): Promise<void> {
  const directory = new Directory(env.DIRECTORY);
  const groups = new GroupRouter(env.REPLICA, (tenant) => directory.placedReplicas(tenant));
  const keys = new KeyRing(new Signatures(env.SERVICE_SECRET ?? ''));
  try {
    const provisioning = new Provisioning(directory, groups, keys);
    await new ToldTerms(directory, provisioning).run(nowMs);
    await new DueWipes(directory, provisioning).run(nowMs);
  } catch (error) {
    if (!(error instanceof DirectoryUnavailable)) throw error;
    console.error(error);
  }
}
