import { describe, expect, it } from 'vitest';
import { makeHistory, makeWatch } from '../sim/checkers/random-history.ts';
import { Truth } from '../sim/models/truth.ts';
import { Random } from '../support/random.ts';
import { reportInWords } from './report.ts';
import { type Evidence, judge, revisionsOf } from './verdict.ts';

function someEvidence(): Evidence {
  const random = new Random(5);
  const { history, revisions } = makeHistory({
    random,
    operations: 300,
    clients: 6,
    keys: ['r/0', 'r/1', 'p/0'],
    lost: 0.05,
    refused: 0.05,
  });
  const truth = new Truth(revisions);
  const pairs = truth.pairsAt(truth.last);
  const all = { random, revisions, previous: true, asked: 2 };
  return {
    history,
    revisions,
    watched: [makeWatch({ ...all, matches: () => true }), makeWatch({ ...all, matches: (key) => key < 'r' })],
    copies: [{ name: 'w', prefix: '', copy: new Map(pairs.map(({ key, mod, value }) => [key, { mod, value }])) }],
    lists: [{ leader: 1, revision: truth.last, pairs }],
  };
}

function rulesOf(changes: Partial<Evidence>): string[] {
  return [...new Set(judge({ ...someEvidence(), ...changes }).map(({ rule }) => rule))];
}

describe('the verdict on a run', () => {
  const evidence = someEvidence();

  it('CHAOS-3: a right history passes; the history of the store is what a watch of all its keys was told', () => {
    expect(rulesOf({})).toEqual([]);
    const [whole] = evidence.watched;
    expect(whole === undefined ? [] : revisionsOf(whole)).toEqual(evidence.revisions);
  });

  it('CHAOS-3: each kind of evidence is looked at', () => {
    const { history, revisions, watched, copies, lists } = evidence;
    expect(rulesOf({ revisions: revisions.toSpliced(3, 1) })).toEqual(['truth']);
    const place = history.findIndex(
      ({ input, outcome }) => input.writes.length > 0 && outcome.kind === 'answered' && outcome.answer.held,
    );
    expect(rulesOf({ history: history.toSpliced(place, 1) })).toContain('no write from nowhere');
    const [first, ...others] = watched;
    const cut = { name: 'cut', matches: () => true, previous: true, connections: [], through: 9, ...first };
    expect(rulesOf({ watched: [{ ...cut, connections: cut.connections.slice(0, -1) }, ...others] })).toEqual([
      'reliable',
    ]);
    expect(rulesOf({ copies: copies.map((each) => ({ ...each, copy: new Map() })) })).toEqual([
      'list and watch make the store',
    ]);
    expect(rulesOf({ lists: lists.map((each) => ({ ...each, pairs: each.pairs.slice(1) })) })).toEqual([
      'equal states',
    ]);
    expect(rulesOf({ lists: lists.map((each) => ({ ...each, revision: each.revision - 1 })) })).toEqual([
      'equal states',
    ]);
  });

  it('CHAOS-4: a failure says which rule, what shows it, and how to run it again', () => {
    const { history, revisions } = evidence;
    const violations = judge({ ...evidence, history: history.slice(20) });
    const counts = new Map([['fault: kill', 2]]);
    const report = {
      history,
      violations,
      counts,
      revisions: 7,
      events: 8,
      longestGap: { fromMs: 1, ms: 2 },
      stderr: 'assertion',
    };
    const words = reportInWords(report, { seconds: 30, seed: 9 });
    for (const said of ['fault: kill', 'no write from nowhere', 'VIOLATION', 'assertion', '--seconds 30 --seed 9']) {
      expect(words).toContain(said);
    }
    expect(revisions.length).toBeGreaterThan(20);
    expect(reportInWords({ ...report, violations: [] }, { seconds: 30, seed: 9 })).toContain('No violation.');
  });
});
