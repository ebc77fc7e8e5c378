import { describe, expect, it } from 'vitest';
import type { Json } from './conversation.ts';
import { matchHttpAnswer, type HttpAnswer } from './http-call.ts';
import { matchAnswerBody, matchMessage, matchPlain } from './matching.ts';
import { fillIn, UnknownCapture } from './placeholders.ts';

const header = { cluster_id: '1', member_id: '2', raft_term: '3' };

function matches(recorded: Json, actual: Json, captures = new Map<string, Json>()): boolean {
  return matchPlain(recorded, actual, captures) === null;
}

describe('matching is exact', () => {
  it.each<[Json, Json]>([
    [
      { a: '1', b: [1, { c: true }] },
      { b: [1, { c: true }], a: '1' },
    ],
    [[], []],
    [{}, {}],
    [null, null],
    ['', ''],
  ])('CONF-MATCH-1: %j is %j', (recorded, actual) => {
    expect(matches(recorded, actual)).toBe(true);
  });

  it.each<[Json, Json]>([
    [{ a: '1' }, { a: 1 }],
    [{ a: 1 }, { a: '1' }],
    [{}, { count: '0' }],
    [{}, { more: false }],
    [{ a: null }, {}],
    [{ a: '' }, {}],
    [
      [1, 2],
      [2, 1],
    ],
    [[1], [1, 2]],
    [[1, 2], [1]],
    [{}, []],
    [[], {}],
    [{ a: {} }, { a: null }],
    [true, 'true'],
    ['a', 'b'],
  ])('CONF-MATCH-1: %j is not %j', (recorded, actual) => {
    expect(matches(recorded, actual)).toBe(false);
  });
});

describe('placeholders', () => {
  it.each<[string, readonly Json[], readonly Json[]]>([
    [
      '${:int64}',
      ['1', '-1', '9223372036854775807', '-9223372036854775808'],
      ['0', 1, '01', '+1', '9223372036854775808', '', 'x', null],
    ],
    ['${:uint64}', ['1', '18446744073709551615'], ['0', '-1', '18446744073709551616', 1]],
    ['${:number}', [0, 1.5], ['1', null]],
    ['${:string}', ['x'], ['', 1, null]],
    ['${:strings}', [['x', 'y']], [[], [''], ['x', 1], 'x']],
    ['${:bytes}', ['YQ==', 'YWI=', 'YWJj', '+/+/'], ['', 'YQ', 'YQ=', '-_-_', 'Y', 1]],
    ['${:version}', ['3.7', '3.7.1', '3.7.0', '3.6.0'], ['3.5', '3.8.0', '3.7.x', '4', '']],
  ])('CONF-MATCH-2: %s', (placeholder, right, wrong) => {
    for (const value of right) expect([value, matches(placeholder, value)]).toEqual([value, true]);
    for (const value of wrong) expect([value, matches(placeholder, value)]).toEqual([value, false]);
    expect(matches({ a: placeholder }, {})).toBe(false);
  });

  it('CONF-MATCH-2: a ttl is at most the granted one beside it', () => {
    const recorded = { TTL: '${:ttl}', grantedTTL: '600' };
    for (const ttl of ['0', '599', '600']) expect(matches(recorded, { TTL: ttl, grantedTTL: '600' })).toBe(true);
    for (const ttl of ['601', '-1', 600, '']) expect(matches(recorded, { TTL: ttl, grantedTTL: '600' })).toBe(false);
  });

  it('CONF-MATCH-3: what is captured must come again, and is sent again', () => {
    const captures = new Map<string, Json>();
    expect(matches({ id: '${L:int64}' }, { id: '77' }, captures)).toBe(true);
    expect(matches(['${L}'], ['77'], captures)).toBe(true);
    expect(matches(['${L}'], ['78'], captures)).toBe(false);
    expect(fillIn({ ID: '${L}', keys: ['a${L}b'] }, captures)).toEqual({ ID: '77', keys: ['a77b'] });
    expect(() => fillIn('${M}', captures)).toThrow(UnknownCapture);
    expect(matches('${M}', 'x', captures)).toBe(false);
  });

  it('CONF-MATCH-4: a unit is repeated in its place, sent and compared', () => {
    expect(fillIn('<${ab*3}>', new Map())).toBe('<ababab>');
    expect(matches('<${ab*3}>', '<ababab>')).toBe(true);
    expect(matches('<${ab*3}>', '<abab>')).toBe(false);
  });

  it('CONF-MATCH-5: $unordered has exactly these elements, $contains has at least these', () => {
    expect(matches({ $unordered: ['a', 'b'] }, ['b', 'a'])).toBe(true);
    expect(matches({ $unordered: ['a', 'b'] }, ['a'])).toBe(false);
    expect(matches({ $unordered: ['a', 'a'] }, ['a', 'b'])).toBe(false);
    expect(matches({ $unordered: ['a'] }, ['a', 'a'])).toBe(false);
    expect(matches({ $contains: ['a'] }, ['b', 'a'])).toBe(true);
    expect(matches({ $contains: ['a', 'a'] }, ['b', 'a'])).toBe(false);
    expect(matches({ $contains: [] }, {})).toBe(false);
  });

  it('CONF-MATCH-5: a choice that leaves another element without one is taken back, and its capture with it', () => {
    const captures = new Map<string, Json>();
    expect(matches({ $unordered: [{ a: '${A:string}' }, { a: 'x' }] }, [{ a: 'x' }, { a: 'y' }], captures)).toBe(true);
    expect(captures.get('A')).toBe('y');
  });
});

describe('the two allowances', () => {
  it('CONF-ALLOW-1: who answered is taken out of the header of an answer, and must be there', () => {
    const recorded = { header: { revision: '2' } };
    expect(matchAnswerBody(recorded, { header: { ...header, revision: '2' } }, new Map())).toBeNull();
    for (const broken of [{ cluster_id: '0' }, { member_id: 2 }, { raft_term: '' }]) {
      const actual = { header: { ...header, revision: '2', ...broken } };
      expect(matchAnswerBody(recorded, actual, new Map())).toContain(Object.keys(broken)[0]);
    }
    expect(matchAnswerBody(recorded, { header: { revision: '2' } }, new Map())).toContain('cluster_id');
    expect(matchAnswerBody(recorded, {}, new Map())).not.toBeNull();
    expect(matchAnswerBody({}, { header }, new Map())).not.toBeNull();
  });

  it('CONF-ALLOW-1: headers further in have none of them', () => {
    const recorded = { header: {}, responses: [{ response_put: { header: { revision: '2' } } }] };
    const actual = (inner: Json): Json => ({ header, responses: [{ response_put: { header: inner } }] });
    expect(matchAnswerBody(recorded, actual({ revision: '2' }), new Map())).toBeNull();
    expect(matchAnswerBody(recorded, actual({ ...header, revision: '2' }), new Map())).not.toBeNull();
  });

  it('CONF-ALLOW-1: a message of a stream has its header in its result', () => {
    const recorded = { result: { header: { revision: '2' }, created: true } };
    expect(
      matchMessage(recorded, { result: { header: { ...header, revision: '2' }, created: true } }, new Map()),
    ).toBeNull();
    expect(matchMessage(recorded, { result: { header: { revision: '2' }, created: true } }, new Map())).not.toBeNull();
  });

  it('CONF-ALLOW-2: the members that older clients read may be beside an error, if they say the same', () => {
    const error = { code: 5, message: 'gone' };
    const older = { error: 'gone', grpc_code: 5, http_code: 404, http_status: 'Not Found' };
    expect(matchAnswerBody(error, { ...error, ...older }, new Map())).toBeNull();
    expect(matchMessage({ error }, { error: { ...error, ...older } }, new Map())).toBeNull();
    for (const broken of [{ error: 'else' }, { grpc_code: 6 }, { details: [] }, { code: 6 }, { message: 'else' }]) {
      expect(matchAnswerBody(error, { ...error, ...older, ...broken }, new Map())).not.toBeNull();
      expect(matchMessage({ error }, { error: { ...error, ...older, ...broken } }, new Map())).not.toBeNull();
    }
    expect(matchAnswerBody({}, { error: 'gone' }, new Map())).not.toBeNull();
  });
});

describe('the answer around the body', () => {
  const actual: HttpAnswer = {
    status: 200,
    headers: { 'content-type': 'application/json; charset=utf-8', allow: 'GET' },
    body: '{}',
  };
  const recorded = {
    status: 200,
    headers: {},
    content: { kind: 'json', type: 'application/json', value: {} },
  } as const;

  it('CONF-MATCH-6: status, listed headers and the media type are equal; parameters do not count', () => {
    expect(matchHttpAnswer(recorded, actual, new Map())).toBeNull();
    expect(matchHttpAnswer({ ...recorded, headers: { Allow: 'GET' } }, actual, new Map())).toBeNull();
    expect(matchHttpAnswer({ ...recorded, headers: { Allow: 'PUT' } }, actual, new Map())).toContain('Allow');
    expect(matchHttpAnswer({ ...recorded, headers: { Other: '' } }, actual, new Map())).toContain('Other');
    expect(matchHttpAnswer({ ...recorded, status: 201 }, actual, new Map())).toContain('status');
    const plain = { ...actual, headers: { 'content-type': 'text/plain' } };
    expect(matchHttpAnswer(recorded, plain, new Map())).toContain('content-type');
    expect(matchHttpAnswer({ ...recorded, content: { kind: 'any' } }, plain, new Map())).toBeNull();
    expect(matchHttpAnswer(recorded, { ...actual, body: '{' }, new Map())).toContain('not JSON');
  });

  it('CONF-MATCH-6: text is equal to the byte', () => {
    const text = { status: 200, headers: {}, content: { kind: 'text', type: 'text/plain', text: 'ok\n' } } as const;
    const plain = { ...actual, headers: { 'content-type': 'text/plain' }, body: 'ok\n' };
    expect(matchHttpAnswer(text, plain, new Map())).toBeNull();
    expect(matchHttpAnswer(text, { ...plain, body: 'ok' }, new Map())).toContain('the text');
  });
});
