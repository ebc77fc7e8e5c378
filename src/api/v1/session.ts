// GET /v1/session: an upgrade to a WebSocket whose binary messages carry calls as frames (`src/session`). The
// subprotocol names the version of the frames, and is what the answer repeats.

import type { ApiCall, ApiRequest } from '../contract.ts';
import type { Failure } from '../errors/errors.ts';
import { failureResponse } from '../errors/errors.ts';
import { replicasNumberMax } from '../../limits.ts';
import { integerParameter, parseQuery } from './parameters.ts';
import type { Parsed } from './parsed.ts';

export const sessionPath = '/v1/session';
export const sessionSubprotocol = 'quorate.session.1';

export function parseSession({ headers, query }: ApiRequest): ApiCall {
  const offered =
    headers
      .get('sec-websocket-protocol')
      ?.split(',')
      .map((name) => name.trim()) ?? [];
  if (!offered.includes(sessionSubprotocol)) {
    return refuse({ kind: 'badRequest', detail: `a session has the subprotocol ${sessionSubprotocol}` });
  }
  const replica = sessionReplica(query);
  return replica.kind === 'bad'
    ? refuse(replica.failure)
    : { kind: 'session', protocol: 'v1', accepted: sessionSubprotocol };
}

/** A session is a WebSocket and nothing else. */
export function refuseNoSession(): ApiCall {
  const detail = `${sessionPath} is a WebSocket: upgrade with GET and the subprotocol ${sessionSubprotocol}`;
  return refuse({ kind: 'badRequest', detail });
}

/** Which replica the session is to be with; null: the one that leads. */
export function sessionReplica(query: string): Parsed<number | null> {
  const parsed = parseQuery(query, ['replica']);
  if (parsed.kind === 'bad') return parsed;
  return integerParameter(parsed.value, 'replica', { min: 1, max: replicasNumberMax });
}

function refuse(failure: Failure): ApiCall {
  return { kind: 'refused', response: failureResponse('v1', failure) };
}
