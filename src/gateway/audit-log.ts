// Writes the audit: what was done, and calls that were refused. What was done stays done where the directory cannot
// record it.

import type { Context } from 'hono';
import { keyTextOf } from '../api/credentials.ts';
import { type Audit, type Directory, DirectoryUnavailable } from '../tenants/directory.ts';
import type { KeyRing } from '../tenants/key-text.ts';
import type { OperatorAccess } from './operator-access.ts';
import { RefusalRecord } from './refusal-record.ts';

export type AuditLogOptions = {
  readonly directory: Directory;
  readonly keys: KeyRing;
  readonly operators: OperatorAccess;
};

const idForm = /^[a-z0-9]{1,32}$/;

export class AuditLog {
  readonly #options: AuditLogOptions;
  readonly #refusals = new RefusalRecord();

  constructor(options: AuditLogOptions) {
    this.#options = options;
  }

  async record(
    actor: string,
    action: Audit['action'],
    tenantId: string,
    detail: string,
    problem?: string,
  ): Promise<void> {
    const refusal = problem === undefined ? {} : { refused: problem };
    try {
      await this.#options.directory.record({ atMs: Date.now(), actor, action, tenantId, detail, ...refusal });
    } catch (error) {
      console.error(`not recorded: ${actor} ${action} ${tenantId} ${detail}`, error);
    }
  }

  /**
   * Records that a call was refused, and by which problem: neither its body, which may be anything, nor a credential.
   * A tenant that does not exist is not named, because whoever asks chose the name.
   */
  async recordRefusal(context: Context, action: Audit['action'], response: Response): Promise<void> {
    const { headers } = context.req.raw;
    const text = keyTextOf(headers);
    const key = text === null ? null : this.#options.keys.verify(text);
    const actor = key?.keyId ?? (await this.#operator(headers)) ?? 'unknown';
    if (!this.#refusals.mayRecord(`${key?.tenant ?? ''} ${actor}`, Date.now())) return;
    const problem: { type?: unknown } = await response.clone().json();
    const refusal = String(problem.type).slice('urn:quorate:problem:'.length);
    const id = context.req.param('id') ?? '';
    const tenantId = (await this.#isTenant(id)) ? id : (key?.tenant ?? '');
    await this.record(actor, action, tenantId, '', refusal);
  }

  /** Null: no operator calls, or the directory cannot say which one. */
  async #operator(headers: Headers): Promise<string | null> {
    try {
      return (await this.#options.operators.caller(headers))?.actor ?? null;
    } catch (error) {
      if (!(error instanceof DirectoryUnavailable)) throw error;
      return null;
    }
  }

  /** False also where the directory cannot be asked: a call is refused as it would be otherwise. */
  async #isTenant(id: string): Promise<boolean> {
    if (!idForm.test(id)) return false;
    try {
      const placed = await this.#options.directory.placedReplicas(id);
      return placed !== null && placed.length > 0;
    } catch (error) {
      console.error(`not known: whether ${id} is a tenant`, error);
      return false;
    }
  }
}
