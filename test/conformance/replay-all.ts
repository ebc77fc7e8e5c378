// Replays many conversations, a few at a time, each against a store of its own.

import type { Conversation } from './conversation.ts';
import { replay, type Replay } from './replay.ts';
import type { StoreSource } from './store.ts';

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
    differences: ended.flatMap(({ differences }) => differences),
  };
}

async function replayOne(conversation: Conversation, source: StoreSource): Promise<Replay> {
  const store = await source.fresh();
  try {
    return await replay(conversation, store);
  } finally {
    await store.dispose();
  }
}
