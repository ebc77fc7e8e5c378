// The Idempotency-Key of a request. The log keeps a write under this name, so that a retry is not applied a second
// time.

import type { RequestHeaders } from './contract.ts';
import { writeIdBytesMax } from '../limits.ts';
import { isWriteId } from '../model/call-check.ts';

export type ParsedWriteId =
  | { readonly kind: 'parsed'; readonly writeId: string | null }
  | { readonly kind: 'malformed'; readonly detail: string };

export function parseWriteId(headers: RequestHeaders): ParsedWriteId {
  const writeId = headers.get('idempotency-key');
  if (writeId === null) return { kind: 'parsed', writeId };
  if (isWriteId(writeId)) return { kind: 'parsed', writeId };
  return { kind: 'malformed', detail: `Idempotency-Key must be 1 to ${writeIdBytesMax} visible ASCII characters` };
}
