// etcd's calls over JSON: what each request has before its message (the time-out, the Idempotency-Key, the size of its
// body), for a call of one message, for a stream, and for a WebSocket that takes such calls as frames.

import { requestBodyBytesMax } from '../../limits.ts';
import type { ApiCall, ApiRequest, Transport } from '../contract.ts';
import { byteString, Scanner } from '../json/scanner.ts';
import { acceptedSubprotocol } from '../upgrade.ts';
import { parseWriteId } from '../write-id.ts';
import { parseGrpcTimeout } from './timeout.ts';
import type { ParseUnary } from './unary.ts';
import { refuse } from './unary.ts';

type ParseRequest = (request: ApiRequest) => ApiCall;

function withTimeout(parse: (request: ApiRequest, timeoutMs: number | null) => ApiCall): ParseRequest {
  return (request) => {
    const timeout = parseGrpcTimeout(request.headers.get('grpc-timeout'));
    if (timeout.kind === 'malformed') return refuse({ kind: 'badRequest', detail: timeout.detail });
    if (timeout.kind === 'passed') return refuse({ kind: 'timeout' });
    return parse(request, timeout.kind === 'after' ? timeout.timeoutMs : null);
  };
}

/** Parses a request whose body is one message. */
export function parseMessage(parse: ParseUnary): ParseRequest {
  return withTimeout(({ body, headers }, timeoutMs) => {
    const bodyBytes = body.byteLength;
    if (bodyBytes > requestBodyBytesMax)
      return refuse({ kind: 'bodyTooLarge', bytes: bodyBytes, bytesMax: requestBodyBytesMax });
    const writeId = parseWriteId(headers);
    const scanner = new Scanner(byteString(body));
    const facts = { timeoutMs, writeId: writeId.kind === 'parsed' ? writeId.writeId : null, bodyBytes };
    const call = parse(scanner, facts);
    if (call === null) return refuse({ kind: 'badRequest', detail: scanner.fault ?? 'the body is not a message' });
    // A read has no write id, and so passes over the header.
    if (writeId.kind === 'malformed' && 'writeId' in call)
      return refuse({ kind: 'badRequest', detail: writeId.detail });
    return call;
  });
}

/** Parses the upgrade to a WebSocket whose frames hold what a POST to the same path has in its body. */
export const parseFrames: ParseRequest = withTimeout(({ path, headers }, timeoutMs) => ({
  kind: 'frames',
  protocol: 'v3',
  path,
  accepted: acceptedSubprotocol(headers),
  timeoutMs,
}));

/** Parses the beginning of a stream of messages in both directions. */
export function parseStream(kind: 'watch' | 'keepAliveStream', transport: Transport): ParseRequest {
  return withTimeout(({ headers }, timeoutMs) => ({
    kind,
    protocol: 'v3',
    transport,
    accepted: acceptedSubprotocol(headers),
    timeoutMs,
  }));
}
