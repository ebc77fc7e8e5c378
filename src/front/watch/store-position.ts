// Where a store is: the header of an answer that its leader gives now. Anybody whose credentials are good may ask.

import { Answer } from '../../api/answer.ts';
import { assert } from '../../base/assert.ts';
import type { ResponseHeader } from '../../model/calls.ts';
import { frameOf } from '../../routing/call-frame.ts';
import { AskedStore } from '../asked-store.ts';
import type { Known, KnownCallers } from '../known-callers.ts';

/** Null: no replica answers, or it does not take the caller. */
export async function storePosition(known: Known, callers: KnownCallers): Promise<ResponseHeader | null> {
  let position: ResponseHeader | null = null;
  const frame = frameOf({
    kind: 'query',
    protocol: 'v3',
    timeoutMs: null,
    query: { kind: 'authStatus' },
    respond: (result, header) => {
      if (result.kind === 'answer') position = { ...header, revision: result.revision };
      return new Answer(200, {}, '');
    },
  });
  assert(frame !== null, 'a question without fields fits a frame');
  known.store.callsUnderWay++;
  try {
    await new AskedStore({ frame, known, callers, servedBy: 'leader', untilRead: () => undefined }).answer();
    return position;
  } finally {
    known.store.callsUnderWay--;
  }
}
