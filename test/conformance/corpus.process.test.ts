// Every recorded conversation against a server as its users start it: what `npm run conformance` does.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { readConversation } from './conversation.ts';
import { startedQuorateSource } from './quorate-store.ts';
import { replayAll } from './replay-all.ts';

const corpus = fileURLToPath(import.meta.resolve('../corpus'));
/** Some conversations wait for leases to end, so more conversations run at a time than there are processors. */
const concurrency = 4;
const shownMax = 20;

it('CONF-CORPUS-2: every recorded conversation replays against Quorate with 0 differences', async () => {
  const files = readdirSync(corpus).filter((name) => name.endsWith('.jsonl'));
  const conversations = files.map((name) => readConversation(join(corpus, name)));
  const source = await startedQuorateSource();
  try {
    const { compared, differences } = await replayAll(conversations, source, concurrency, () => undefined);
    const shown = differences
      .slice(0, shownMax)
      .map(({ file, line, reason, answer }) => `${file}:${line}: ${reason}${answer === null ? '' : ` (${answer})`}`);
    const told = `${differences.length} differences; one file again: npm run conformance -- --files NAME`;
    expect(shown, told).toEqual([]);
    expect(compared).toBeGreaterThan(12_000);
  } finally {
    await source.close();
  }
}, 300_000);
