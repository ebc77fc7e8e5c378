// An access key as JSON, without its secret. Whoever makes a key shows its secret once, in another field.

import { base64, textOf } from '../../base/bytes.ts';
import type { AccessKey } from '../../model/store.ts';

export function accessKeyJson(accessKey: AccessKey): Record<string, unknown> {
  const { id, role, prefix, expiresAtMs, createdAtMs } = accessKey;
  const text = textOf(prefix);
  const prefixMember =
    prefix.byteLength === 0 ? {} : text === null ? { prefix_base64: base64(prefix) } : { prefix: text };
  const expiry = expiresAtMs === null ? {} : { expires_at: timeText(expiresAtMs) };
  return { id, role, ...prefixMember, created_at: timeText(createdAtMs), ...expiry };
}

function timeText(atMs: number): string {
  return new Date(atMs).toISOString();
}
