// Checks the stream of a dump: its parts count down to nothing, and its last part is the SHA-256 of those before it.

import { createHash } from 'node:crypto';
import { isObject, type Json } from './conversation.ts';
import { parseJson, type HttpAnswer } from './http-call.ts';
import { isOfType, isStandardBase64 } from './placeholders.ts';

const digestBytes = 32;
const membersKnown = ['version', 'blob', 'remaining_bytes'];

type Part = { readonly blob: Buffer; readonly remainingBytes: string | null };

/** The differences from what a dump must be. A right dump has none. */
export function matchSnapshot(answer: HttpAnswer | Error, messagesAtLeast: number): string[] {
  if (answer instanceof Error) return [answer.message];
  if (answer.status !== 200)
    return [`status: recorded 200, came ${answer.status} (${answer.body.slice(0, 200).trim()})`];
  const lines = answer.body.split('\n').filter((line) => line !== '');
  if (lines.length < messagesAtLeast) return [`${lines.length} messages, at least ${messagesAtLeast} must come`];
  const parts: Part[] = [];
  for (const [index, line] of lines.entries()) {
    const part = parsePart(parseJson(line) ?? null);
    if (typeof part === 'string') return [`message ${index}: ${part}`];
    parts.push(part);
  }
  return [...checkCountdown(parts), ...checkDigest(parts)];
}

function parsePart(message: Json): Part | string {
  const result = isObject(message) ? message['result'] : undefined;
  if (!isObject(result)) return 'it has no result';
  const extra = Object.keys(result).find((name) => !membersKnown.includes(name));
  if (extra !== undefined) return `it has the member ${extra}`;
  if (!isOfType('version', result['version'] ?? null, result)) return 'its version is not a version';
  const blob = result['blob'];
  if (typeof blob !== 'string' || !isStandardBase64(blob)) return 'its blob is not base64';
  const remaining = result['remaining_bytes'] ?? null;
  if (remaining !== null && !isOfType('uint64', remaining, result)) return 'its remaining_bytes is not a count above 0';
  return { blob: Buffer.from(blob, 'base64'), remainingBytes: typeof remaining === 'string' ? remaining : null };
}

/**
 * remaining_bytes is the number of blob bytes that follow, without those of the last blob. It is absent when it is 0.
 */
function checkCountdown(parts: readonly Part[]): string[] {
  const data = parts.slice(0, -1);
  let follow = data.reduce((sum, { blob }) => sum + blob.byteLength, 0);
  const differences: string[] = [];
  for (const [index, { blob, remainingBytes }] of parts.entries()) {
    if (index < data.length) follow -= blob.byteLength;
    const expected = follow === 0 ? null : String(follow);
    if (remainingBytes !== expected) {
      differences.push(`message ${index}: remaining_bytes is ${remainingBytes ?? 'absent'}, ${follow} bytes follow`);
    }
  }
  return differences;
}

function checkDigest(parts: readonly Part[]): string[] {
  const hash = createHash('sha256');
  for (const { blob } of parts.slice(0, -1)) hash.update(blob);
  const digest = parts.at(-1)?.blob;
  const right = digest !== undefined && digest.byteLength === digestBytes && digest.equals(hash.digest());
  return right ? [] : ['the last blob is not the SHA-256 of those before it'];
}
