// Replays many conversations, a few at a time, each against a store of its own.

import type { Conversation } from './conversation.ts';
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
      const result = await replayOne(next, source);
      ended.push(result);
      onEnd(next, result);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return {
    compared: ended.reduce((sum, { compared }) => sum + compared, 0),
    byGrpc: ended.reduce((sum, { byGrpc }) => sum + byGrpc, 0),
    differences: ended.flatMap(({ differences }) => differences),
  };
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
    return { compared: 0, byGrpc: 0, differences: [outside(error)] };
  }
  try {
    await store.dispose();
    return result;
  } catch (error) {
    return { ...result, differences: [...result.differences, outside(error)] };
  }
}
