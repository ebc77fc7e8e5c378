import { expect, it } from 'vitest';
import { readOf } from '../../src/api/requests.ts';
import { emptyBytes, utf8 } from '../../src/base/bytes.ts';
import { sessionFramesMax } from '../../src/limits.ts';
import { type ClientFrame, encodeClientFrame, encodeMessage } from '../../src/session/frames.ts';
import { SessionPair } from './session-pair.ts';

it('SESSION-6: a client that asks on, and reads none of what needs no credit, is left', () => {
  const pair = new SessionPair();
  const handle = pair.client.declare({ kind: 'alone', text: 'good' });
  pair.ask({ kind: 'read', request: readOf({ key: utf8('first'), rangeEnd: emptyBytes }) }, { id: 0, handle });
  pair.run(100);
  const hello: ClientFrame = { kind: 'hello', processId: utf8('0123456789abcdef'), credit: 0 };
  pair.server?.message(encodeMessage([encodeClientFrame(hello)]));
  pair.silent = true;
  const bad: ClientFrame = { kind: 'declare', handle: 1, credentials: { kind: 'alone', text: 'bad' } };
  const message = encodeMessage(Array.from({ length: sessionFramesMax }, () => encodeClientFrame(bad)));
  for (let asked = 0; asked < 100 && pair.closedWith.length === 0; asked++) {
    pair.server?.message(message);
    pair.run(1);
  }
  expect(pair.closedWith).toEqual([{ kind: 'memoryFull', of: 'key' }]);
});
