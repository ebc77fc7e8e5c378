// An access key as JSON, without its secret. Whoever makes a key shows its secret once, in another field.

import { base64, textOf } from '../../base/bytes.ts';
import { type OwnAccess, suspensionOfTenant } from '../replica-request.ts';
import { limitsJson } from './limits.ts';
import type { AccessKey, SuspensionFailure } from '../../model/store.ts';

export function accessKeyJson(accessKey: AccessKey): Record<string, unknown> {
  const { id, name, role, prefix, expiresAtMs, createdAtMs } = accessKey;
  const text = textOf(prefix);
  const prefixMember =
    prefix.byteLength === 0 ? {} : text === null ? { prefix_base64: base64(prefix) } : { prefix: text };
  const expiry = expiresAtMs === null ? {} : { expires_at: timeText(expiresAtMs) };
  // A replica whose code is of the version before knows no names.
  const named = name ? { name } : {};
  return { id, ...named, role, ...prefixMember, created_at: timeText(createdAtMs), ...expiry };
}

/** The answer to GET /v1/whoami. */
export function ownAccessJson(tenant: string, own: OwnAccess): Record<string, unknown> {
  const limits = own.terms === undefined ? {} : { limits: limitsJson(own.terms) };
  return { tenant, ...tenantState(suspensionOfTenant(own)), ...accessKeyJson(own.accessKey), ...limits };
}

function tenantState(suspension: SuspensionFailure | null): Record<string, unknown> {
  if (suspension === null) return { state: 'ready' };
  if (suspension.kind === 'tenantSuspended') return { state: 'suspended' };
  return { state: 'deleted', wipe_at: timeText(suspension.wipeAtMs) };
}

function timeText(atMs: number): string {
  return new Date(atMs).toISOString();
}
