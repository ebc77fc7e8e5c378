import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { programOnPath } from '../../support/programs.ts';
import { readConversation } from '../conversation.ts';
import { conversationText } from '../conversation-text.ts';
import { etcdSource } from '../etcd-store.ts';
import { startedQuorateSource } from '../quorate-store.ts';
import type { StoreSource } from '../store.ts';
import { runSession } from './live.ts';
import { runLive, type LiveOptions } from './main.ts';
import { record } from './recorder.ts';
import { makeSession, sessionKinds } from './session.ts';

const etcd = programOnPath('etcd');
const seedOfKeys = sessionKinds.length;

function options(changed: Partial<LiveOptions>): LiveOptions {
  return { sessions: 1, seed: 1, concurrency: 4, shortens: false, keepIn: null, verbose: false, ...changed };
}

/** The same source, at which every call has a header that no server takes: all answers differ. */
function refusing(source: StoreSource): StoreSource {
  const fresh: StoreSource['fresh'] = async () => {
    const store = await source.fresh();
    return { ...store, headers: { ...store.headers, 'grpc-timeout': 'nonsense' } };
  };
  return { ...source, fresh };
}

describe('random sessions', () => {
  it('CONF-LIVE-1: the same seed makes the same session, another seed another; every kind of step is made', () => {
    const sessions = Array.from({ length: 10 * sessionKinds.length }, (_, seed) => makeSession(seed));
    expect(sessions.map(({ seed }) => makeSession(seed))).toEqual(sessions);
    expect(new Set(sessions.map(({ steps }) => JSON.stringify(steps))).size).toBe(sessions.length);
    expect(new Set(sessions.map(({ kind }) => kind))).toEqual(new Set(sessionKinds));
    const steps = sessions.flatMap((session) => session.steps);
    expect(new Set(steps.map(({ kind }) => kind))).toEqual(
      new Set(['call', 'wait', 'brief', 'open', 'send', 'gather', 'progress', 'close']),
    );
  });

  it.runIf(etcd !== null)(
    'CONF-LIVE-2: what etcd answered has no difference at another etcd',
    async () => {
      const source = etcdSource(etcd ?? '');
      const lines: string[] = [];
      const asked = options({ sessions: 2, seed: 70 });
      const differing = await runLive({ etcd: source, quorate: source }, asked, (line) => lines.push(line));
      expect([differing, lines.slice(0, -1)]).toEqual([0, []]);
    },
    120_000,
  );

  it.runIf(etcd !== null)(
    'CONF-LIVE-3: Quorate answers a session of each kind as etcd does',
    async () => {
      const quorate = await startedQuorateSource();
      try {
        const lines: string[] = [];
        const asked = options({ sessions: sessionKinds.length, seed: 140 });
        const differing = await runLive({ etcd: etcdSource(etcd ?? ''), quorate }, asked, (line) => lines.push(line));
        expect([differing, lines.slice(0, -1)]).toEqual([0, []]);
      } finally {
        await quorate.close();
      }
    },
    120_000,
  );

  it.runIf(etcd !== null)(
    'CONF-LIVE-4: a difference is shown with its seed and both answers, and its session is made shorter',
    async () => {
      const source = etcdSource(etcd ?? '');
      const sides = { etcd: source, quorate: refusing(source) };
      const seed = seedOfKeys;
      const outcome = await runSession(seed, sides, true);
      if (outcome.kind !== 'different') throw new Error(`nothing was found: ${outcome.kind}`);
      expect(outcome.finding.steps).toBe(1);
      const lines: string[] = [];
      expect(await runLive(sides, options({ seed }), (line) => lines.push(line))).toBe(1);
      expect(lines.join('\n')).toMatch(
        new RegExp(
          `^seed ${seed}: keys, a difference[^]*--seed ${seed}\n[^]*\n  etcd: \\{"call"[^]*\n  Quorate: \\d{3} \\{`,
        ),
      );
    },
    120_000,
  );

  it.runIf(etcd !== null)('CONF-LIVE-5: a conversation that is written down and read again is the same', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'quorate-live-'));
    const store = await etcdSource(etcd ?? '').fresh();
    try {
      const { conversation } = await record(makeSession(seedOfKeys + sessionKinds.indexOf('encodings')), store);
      const path = join(folder, conversation.file);
      writeFileSync(path, conversationText(conversation));
      expect(readConversation(path)).toEqual(conversation);
    } finally {
      await store.dispose();
      rmSync(folder, { recursive: true });
    }
  });
});
