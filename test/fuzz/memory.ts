// What the Worker's runtime holds, and what the system gave it. The runtime collects garbage when it likes, and keeps
// what it has freed, so garbage is collected before each look: what is then held was really kept.

import { readFileSync } from 'node:fs';
import { DevTools } from '../support/dev-tools.ts';

/** In bytes. `held`: objects of JavaScript and their buffers. `resident`: of the whole process. */
export type Memory = { readonly held: number; readonly resident: number };

/** The runtime gives memory back a moment after it was freed. */
const collections = 3;

export async function lookAtMemory(inspectorUrl: string, processId: number): Promise<Memory> {
  const tools = await DevTools.connect(inspectorUrl);
  for (let count = 0; count < collections; count++) await tools.call('HeapProfiler.collectGarbage');
  const { usedSize, backingStorageSize } = await tools.call('Runtime.getHeapUsage');
  tools.close();
  return { held: Number(usedSize) + Number(backingStorageSize), resident: residentBytes(processId) };
}

/** Why `after` is more than a process keeps that did the same before. Null: it is not. */
export function growth(before: Memory, after: Memory): string | null {
  if (after.held > before.held + heldGrownBytesMax)
    return `the runtime held ${inWords(before)}, and then ${inWords(after)}`;
  if (after.resident <= before.resident + residentGrownBytesMax) return null;
  return `the runtime grew from ${inWords(before)} to ${inWords(after)}`;
}

export function inWords({ held, resident }: Memory): string {
  return `${megabytes(held)} MiB of ${megabytes(resident)}`;
}

/** The other tenant goes on writing, and each of its replicas remembers more of its last writes meanwhile. */
const heldGrownBytesMax = 24 * 1_048_576;
/** What was freed lies between what is held. */
const residentGrownBytesMax = 64 * 1_048_576;

function residentBytes(processId: number): number {
  const status = readFileSync(`/proc/${processId}/status`, 'utf8');
  return 1_024 * Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
}

function megabytes(bytes: number): string {
  return (bytes / 1_048_576).toFixed(0);
}
