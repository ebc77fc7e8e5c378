import { describe, expect, it } from 'vitest';
import { AnswerReader } from '../../src/front/answer-reader.ts';

type Told = { head: string; body: string; isWhole: boolean; continues: number; upgraded: string | null };

function read(method: string, parts: readonly string[]): Told {
  const told: Told = { head: '', body: '', isWhole: false, continues: 0, upgraded: null };
  const reader = new AnswerReader(method, {
    continues: () => told.continues++,
    answers: ({ status, reason, rawHeaders }) => {
      told.head = `${status} ${reason} ${rawHeaders.join('|')}`;
    },
    receives: (bytes, isWhole) => {
      told.body += Buffer.concat([...bytes]).toString('latin1');
      told.isWhole = isWhole;
    },
    upgrades: (_, first) => {
      told.upgraded = first.toString('latin1');
    },
  });
  for (const part of parts) reader.read(Buffer.from(part, 'latin1'));
  return told;
}

const cases: readonly (readonly [string, string, Partial<Told>])[] = [
  ['GET', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA:  b \r\n\r\nhello', { body: 'hello', isWhole: true }],
  ['GET', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n', { body: '', isWhole: true }],
  ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', { body: '', isWhole: true }],
  ['GET', 'HTTP/1.1 204 No Content\r\nX: y\r\n\r\n', { body: '', isWhole: true }],
  ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', { body: '', isWhole: true }],
  [
    'GET',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\nT: t\r\n\r\n',
    { body: 'hello0123456789', isWhole: true },
  ],
  ['PUT', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx', { continues: 1, body: 'x' }],
  ['GET', 'HTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx', { continues: 0, body: 'x' }],
  ['GET', 'HTTP/1.1 200 OK\r\n\r\nuntil the end', { body: 'until the end', isWhole: false }],
];

describe('FRONT-16: an answer of the runtime is read by its framing, however its bytes come', () => {
  it.each(cases)('%s %j', (method, text, expected) => {
    const whole = read(method, [text]);
    expect(whole).toMatchObject(expected);
    for (let cut = 1; cut < text.length; cut++) {
      expect(read(method, [text.slice(0, cut), text.slice(cut)])).toEqual(whole);
    }
    expect(read(method, Array.from(text))).toEqual(whole);
  });

  it('hands over what comes behind an upgrade', () => {
    const { upgraded, isWhole } = read('GET', ['HTTP/1.1 101 X\r\nUpgrade: websocket\r\n', '\r\nfirst']);
    expect([upgraded, isWhole]).toEqual(['first', false]);
  });

  it('takes nothing else for an answer', () => {
    expect(() => read('GET', ['SSH-2.0\r\n\r\n'])).toThrow('SSH-2.0');
    expect(() => read('GET', ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'])).toThrow('zz');
  });
});
