// A client's watch of v1 at the front: what its channel is given.

import { expect, it } from 'vitest';
import type { ClientWatch } from '../../../src/front/watch/shared-watches.ts';
import { V1Watch } from '../../../src/front/watch/v1-watch.ts';
import { watchQuietMs } from '../../../src/limits.ts';
import { header } from '../../session/session-pair.ts';

function stage(transport: 'websocket' | 'ndjson') {
  const said: string[] = [];
  let told: number | null = 5;
  const watch = new V1Watch(
    {
      needsSigns: transport === 'ndjson',
      hasStatus: transport === 'ndjson',
      open: (message) => void said.push(message.toString('utf8')),
      refused: () => void said.push('refused'),
      send: (message) => void said.push(message.toString('utf8')),
      hasRoom: () => true,
      close: ({ kind }) => void said.push(kind),
    },
    transport,
    false,
  );
  const client: ClientWatch = {
    told: () => told,
    askProgress: () => void said.push('asks'),
    goOn: () => undefined,
    end: () => undefined,
  };
  watch.begin(client);
  return { watch, said, tell: (at: number | null) => void (told = at) };
}

it('FRONT-38: the client of a quiet WebSocket is told how far it is where that is news; a streaming answer tells always', () => {
  for (const transport of ['websocket', 'ndjson'] as const) {
    const { watch, said, tell } = stage(transport);
    watch.created({ header: { ...header, revision: 5 }, from: 6, replica: 1 });
    said.length = 0;
    const quiet = (times: number): void => {
      for (let time = 1; time <= times; time++) watch.tick(time * (watchQuietMs + 1) + times * 1_000_000);
    };
    quiet(1);
    expect(said).toEqual([]);
    quiet(3);
    expect(said.length > 0).toBe(transport === 'ndjson');
    said.length = 0;
    tell(7);
    quiet(5);
    expect(said[0]).toContain('{"type":"progress","revision":7}');
    // Before its first revision there is nothing to tell.
    said.length = 0;
    tell(null);
    quiet(9);
    expect(said).toEqual([]);
  }
});

it('FRONT-42: a streaming answer from the past waits until it is known whether history is there', () => {
  const past = { header: { ...header, revision: 5 }, from: 2, replica: 1 };
  const gone = stage('ndjson');
  gone.watch.created(past);
  gone.watch.ended({ kind: 'compacted', compactedRevision: 4 });
  expect(gone.said).toEqual(['asks', 'refused']);
  const there = stage('ndjson');
  there.watch.created(past);
  there.watch.progress({ raftTerm: 1, revision: 5 });
  expect(there.said).toEqual(['asks', '{"type":"created","revision":5,"from":2}\n']);
});

it('FRONT-37: a replica without room for a watch that is open is no reason to give it up for good', () => {
  const { watch, said } = stage('websocket');
  watch.created({ header: { ...header, revision: 5 }, from: 6, replica: 1 });
  watch.ended({ kind: 'overloaded' });
  expect(said.at(-1)).toBe('restarted');
});
