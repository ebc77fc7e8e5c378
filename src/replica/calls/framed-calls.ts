// Serves calls that come as messages of a socket or of a stream, and not as requests of the gateway. Each call is
// served by this replica or by the leader, and has one answer.

import type { WholeRequest } from '../../api/contract.ts';
import { failureResponse } from '../../api/errors/errors.ts';
import { newId } from '../../tenants/key-text.ts';
import type { Member } from '../member.ts';
import type { Services } from '../services.ts';
import type { CallFacts, Openings } from './call-context.ts';
import { routeCall, type RouteOptions } from './call-route.ts';
import { answerCall } from './calls.ts';

/** Serves one call. Never fails. */
export type ServeFramed = (
  request: WholeRequest,
  source: Pick<CallFacts, 'caller' | 'origin'>,
  gone: AbortSignal,
) => Promise<Response>;

export function framedCalls(member: Member, services: Services, stubOf: RouteOptions['stubOf']): ServeFramed {
  const writeIdPrefix = `${newId()}${newId()}`;
  let writes = 0;
  return (request, { caller, origin }, gone) => {
    const writeId = `${writeIdPrefix}.${(writes++).toString(36)}`;
    const facts = { caller, origin, writeId, gone, services, openings: noOpenings };
    const seen = member.driver.store.writesTotal;
    return routeCall(
      { request, caller, origin, writeId, seen, gone },
      {
        own: member.identity.number,
        serve: (call, told) => answerCall(member, call, { ...facts, ...told }),
        stubOf,
        nowMs: () => member.nowMs(),
      },
    );
  };
}

/** A frame is a call with one answer: watches have sockets of their own. */
const noOpenings: Openings = {
  openWatch: () => failureResponse('v3', { kind: 'notFound', near: [] }),
  openFrames: () => failureResponse('v3', { kind: 'notFound', near: [] }),
  openSession: () => failureResponse('v3', { kind: 'notFound', near: [] }),
  openKeepAlives: null,
};
