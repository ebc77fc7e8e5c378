// Replays the conversations of test/corpus against a server as its users start it, as `npm run conformance` does.
// `npm test` replays the hand-written conversations and one of each random kind, `npm run test:long` all others.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readConversation } from './conversation.ts';
import { startedQuorateSource } from './quorate-store.ts';
import { replayAll } from './replay-all.ts';

const corpus = fileURLToPath(import.meta.resolve('../corpus'));
/** Some conversations wait for leases to end, so more conversations run at a time than there are processors. */
const concurrency = 4;
const shownMax = 20;
const randomInShortRun: ReadonlySet<string> = new Set(['random-1', 'random-auth-201', 'random-watch-101']);

const isInLongRun = (name: string): boolean => name.startsWith('random-') && !randomInShortRun.has(name);

/** The names of the conversations of each run. Each conversation is in one of the two. */
export function corpusRuns(): { readonly short: readonly string[]; readonly long: readonly string[] } {
  const names = readdirSync(corpus)
    .filter((file) => file.endsWith('.jsonl'))
    .map((file) => file.replace('.jsonl', ''));
  return { short: names.filter((name) => !isInLongRun(name)), long: names.filter(isInLongRun) };
}

/** How many answers were compared, and the first differences in words. */
export async function replayOnServer(
  names: readonly string[],
  options: { readonly byGrpc?: boolean } = {},
): Promise<{ readonly compared: number; readonly byGrpc: number; readonly differences: readonly string[] }> {
  const conversations = names.map((name) => readConversation(join(corpus, `${name}.jsonl`)));
  const source = await startedQuorateSource(options);
  try {
    const { compared, byGrpc, differences } = await replayAll(conversations, source, concurrency, () => undefined);
    const inWords = differences.map(
      ({ file, line, reason, answer }) => `${file}:${line}: ${reason}${answer === null ? '' : ` (${answer})`}`,
    );
    const first = inWords.slice(0, shownMax);
    const hint = `${inWords.length} differences; one file again: npm run conformance -- --files NAME`;
    return { compared, byGrpc, differences: first.length === 0 ? [] : [hint, ...first] };
  } finally {
    await source.close();
  }
}
