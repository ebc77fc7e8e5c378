// An access key as JSON, without its secret. Whoever makes a key shows its secret once, in another field.

import { base64, textOf } from '../../base/bytes.ts';
import type { OwnAccess } from '../replica-request.ts';
import type { AccessKey } from '../../model/store.ts';

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
export function ownAccessJson(tenant: string, { accessKey, isSuspended }: OwnAccess): Record<string, unknown> {
  return { tenant, state: isSuspended ? 'suspended' : 'ready', ...accessKeyJson(accessKey) };
}

function timeText(atMs: number): string {
  return new Date(atMs).toISOString();
}
