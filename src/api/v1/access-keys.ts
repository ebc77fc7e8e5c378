// An access key as JSON, without its secret. Whoever makes a key shows its secret once, in another field.

import { base64, textOf } from '../../base/bytes.ts';
import { type OwnAccess, suspensionOfTenant } from '../replica-request.ts';
import { limitsJson } from './limits.ts';
import type { AccessKey, SuspensionFailure } from '../../model/store.ts';

export function accessKeyJson(accessKey: AccessKey): Record<string, unknown> {
  const { id, name, role, expiresAtMs, createdAtMs } = accessKey;
  const expiry = expiresAtMs === null ? {} : { expires_at: timeText(expiresAtMs) };
  // A replica whose code is of the version before knows no names.
  const named = name ? { name } : {};
  return { id, ...named, role, ...prefixMember(accessKey), created_at: timeText(createdAtMs), ...expiry };
}

function prefixMember({ prefix, morePrefixes = [] }: AccessKey): Record<string, unknown> {
  if (prefix.byteLength === 0) return {};
  const all = [prefix, ...morePrefixes];
  const texts = all.map(textOf);
  const isText = texts.every((text) => text !== null);
  if (all.length === 1) return isText ? { prefix: texts[0] } : { prefix_base64: base64(prefix) };
  return isText ? { prefixes: texts } : { prefixes_base64: all.map(base64) };
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
