// Replays many conversations, a few at a time, each against a store of its own.

import { isObject, type Conversation } from './conversation.ts';
import { replay, type Difference, type Replay } from './replay.ts';
import type { Store, StoreSource } from './store.ts';

/** `onEnd` is called for each conversation, in the order in which they end. */
export async function replayAll(
  conversations: readonly Conversation[],
  source: StoreSource,
  concurrency: number,
  onEnd: (conversation: Conversation, replay: Replay) => void,
): Promise<Replay> {
  const waiting = [...conversations];
  const ended: Replay[] = [];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const result = await replayInTime(next, source);
      ended.push(result);
      onEnd(next, result);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return {
    compared: ended.reduce((sum, { compared }) => sum + compared, 0),
    byGrpc: ended.reduce((sum, { byGrpc }) => sum + byGrpc, 0),
    slowestCallMs: Math.max(0, ...ended.map(({ slowestCallMs }) => slowestCallMs)),
    differences: ended.flatMap(({ differences }) => differences),
  };
}

/**
 * On a machine that stood still for a part of a lease, the lease ends elsewhere in the conversation, and the answers
 * say nothing of the store. A difference of a replay in time counts, whatever another replay shows.
 */
async function replayInTime(conversation: Conversation, source: StoreSource): Promise<Replay> {
  const shortestLeaseMs = shortestLeaseMsOf(conversation);
  for (let replays = 1; ; replays++) {
    const result = await replayOne(conversation, source);
    const isLate = result.slowestCallMs > shortestLeaseMs / 8;
    if (result.differences.length === 0 || !isLate || replays === replaysMax) return result;
  }
}

const replaysMax = 5;

function shortestLeaseMsOf({ steps }: Conversation): number {
  let shortest = Infinity;
  for (const { action } of steps) {
    if (action.kind !== 'call' || action.call.path !== '/v3/lease/grant' || action.answer.content.kind !== 'json')
      continue;
    const { value } = action.answer.content;
    const seconds = value !== null && isObject(value) ? Number(value['TTL']) : NaN;
    if (seconds > 0) shortest = Math.min(shortest, seconds * 1_000);
  }
  return shortest;
}

/** If a store cannot be had or given back, that is a difference of its conversation (line 0), and the others go on. */
async function replayOne(conversation: Conversation, source: StoreSource): Promise<Replay> {
  const outside = (error: unknown): Difference => ({
    file: conversation.file,
    line: 0,
    reason: error instanceof Error ? error.message : String(error),
    answer: null,
  });
  let result: Replay;
  let store: Store;
  try {
    store = await source.fresh();
    result = await replay(conversation, store);
  } catch (error) {
    return { compared: 0, byGrpc: 0, slowestCallMs: 0, differences: [outside(error)] };
  }
  try {
    await store.dispose();
    return result;
  } catch (error) {
    return { ...result, differences: [...result.differences, outside(error)] };
  }
}
