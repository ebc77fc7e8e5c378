// The calls on leases that only the leader can answer: how long a lease has still to live, and keepalives, one by one
// or as a stream.

import type { WholeRequest, KeepAliveStreamCall } from '../../api/contract.ts';
import { failureResponse, streamFailure } from '../../api/errors/errors.ts';
import type { Failure } from '../../api/errors/failures.ts';
import { etcdPath } from '../../api/routes.ts';
import { decodeKeepAlive, keepAliveMessage } from '../../api/v3/lease.ts';
import { MessageSplitter } from '../../api/v3/message-splitter.ts';
import { keyFailure } from '../calls/auth-calls.ts';
import type { CallContext } from '../calls/call-context.ts';
import { leaderElsewhere, redirectTo } from '../calls/call-steps.ts';
import { headerOf } from '../calls/leader-steps.ts';
import type { Member } from '../member.ts';

/**
 * A POST with a length is answered message by message, and the response ends with the last one. A POST without a length
 * has each message answered when it comes. Each frame of a WebSocket is served as a POST of its own, and so finds the
 * replica that leads by then.
 */
export async function serveKeepAliveStream(
  member: Member,
  call: KeepAliveStreamCall,
  request: WholeRequest,
  context: CallContext,
): Promise<Response> {
  if (call.transport === 'websocket') {
    const failure = await keyFailure(member, context.caller);
    if (failure !== null) return failureResponse('v3', failure);
    const { accepted, protocol, timeoutMs } = call;
    const frames = { kind: 'frames', protocol, timeoutMs, path: etcdPath('lease/keepalive'), accepted } as const;
    return context.openings.openFrames(frames);
  }
  const { openKeepAlives } = context.openings;
  if (openKeepAlives !== null) {
    const failure = await keyFailure(member, context.caller);
    return failure === null ? openKeepAlives(call.timeoutMs) : failureResponse('v3', failure);
  }
  const elsewhere = await leaderElsewhere(member, context);
  return elsewhere ?? answerMessages(member, request.body, context);
}

async function answerMessages(member: Member, body: Uint8Array, context: CallContext): Promise<Response> {
  const splitter = new MessageSplitter();
  const { messages, fault } = splitter.push(body);
  const lines: string[] = [];
  for (const message of messages) {
    const request = decodeKeepAlive(message);
    if (request.kind === 'malformed') return ended(lines, { kind: 'badRequest', detail: request.detail });
    const result = await context.services.leases.keepAlive(context.caller, request.id);
    // The next leader is asked for the whole body: extending a lease twice does no harm.
    if (result === null) return redirectTo(member, null);
    if (result.kind === 'failed') return ended(lines, result.failure);
    lines.push(`${keepAliveMessage(headerOf(member), request.id, result.answer.ttlSeconds)}\n`);
  }
  const detail = fault ?? splitter.end();
  return detail === null ? streamed(200, lines) : ended(lines, { kind: 'badRequest', detail });
}

/** The response has the status of the failure only if no message was answered before. */
function ended(lines: readonly string[], failure: Failure): Response {
  const { status, text } = streamFailure(failure, 'kept');
  return streamed(lines.length === 0 ? status : 200, [...lines, `${text}\n`]);
}

function streamed(status: number, lines: readonly string[]): Response {
  return new Response(lines.join(''), { status, headers: { 'content-type': 'application/json' } });
}
