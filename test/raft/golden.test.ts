// Golden conversations: what replicas say to each other, as text to be read. To accept the present text, run
// `RAFT_GOLDEN=write vitest run test/raft/golden.test.ts` and read the difference.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { play } from './conversation.ts';

const folder = join(import.meta.dirname, 'golden');

const conversations = {
  'election.txt': 'RAFT-1: a follower that misses its leader is elected, and opens its term with an entry',
  'pre-vote.txt': 'RAFT-2: a replica that was cut off neither raises its term nor deposes the leader when it is back',
  'stickiness.txt': 'RAFT-3: who heard from a leader lately refuses pre-votes',
  'replication.txt': 'RAFT-4: one append for a turn, committed by a majority, told within a tick, pipelined',
  'lost-append.txt': 'RAFT-5: a lost append or answer does not stall',
  'figure-7.txt': 'RAFT-6: every log of figure 7 becomes the leader’s, back-tracking by term',
  'figure-8.txt': 'RAFT-7: an entry of an earlier term is not committed by counting (figure 8)',
  'read-index.txt': 'RAFT-8: reads share a round, and wait until the leader has committed in its own term',
  'read-on-follower.txt': 'RAFT-9: a follower asks its leader, and gives up at a time-out or a change of leader',
  'transfer.txt': 'RAFT-10: leadership goes over to a follower that is complete, or is kept after a time-out',
  'check-quorum.txt': 'RAFT-11: a leader without a quorum steps down and gives its reads back',
  'rest.txt': 'RAFT-12: a group with nothing to do rests, and wakes at the next input',
  'rest-and-ask.txt': 'RAFT-13: a resting leader that is asked for a pre-vote wakes and keeps its place',
  'restart.txt': 'RAFT-14: after a crash term, vote and log are as they were',
  'urgent.txt': 'RAFT-15: an urgent campaign wins at once, unless the leader hears it or the log is behind',
  'urgent-unheard.txt': 'RAFT-60: a leader that can call nobody does not keep its place by answering',
  'urgent-hanging.txt': 'RAFT-62: a doubted leader ends the campaign by refusing, and not by its heartbeats alone',
  'urgent-both.txt': 'RAFT-16: of two that campaign at once one gives way',
  'urgent-behind.txt': 'RAFT-17: an urgent campaign in an old term is repeated in the present one',
  'one.txt': 'RAFT-18: a group of one decides alone',
  'lost-disk.txt': 'RAFT-63: a learner that lost its disk is found out by what it lacks, and gets everything again',
  'five.txt': 'RAFT-19: a group of five goes on without two, and not without three',
} as const;

describe('golden conversations', () => {
  it.each(Object.entries(conversations).map(([file, rule]) => ({ file, rule })))('$rule ($file)', ({ file }) => {
    const path = join(folder, file);
    const script = readFileSync(path, 'utf8');
    const played = play(script);
    if (process.env['RAFT_GOLDEN'] === 'write') writeFileSync(path, played);
    else expect(played).toBe(script);
  });

  it('all are played', () => {
    expect(readdirSync(folder).sort()).toEqual(Object.keys(conversations).sort());
  });
});
