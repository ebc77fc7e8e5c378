// etcd's calls over JSON: a path, its method and headers, and then the message by its path's parser.

import { requestBodyBytesMax } from '../../limits.ts';
import type { ApiCall, ApiRequest } from '../contract.ts';
import { byteString, Scanner } from '../json/scanner.ts';
import { acceptedSubprotocol, isWebSocketUpgrade } from '../upgrade.ts';
import { parseWriteId } from '../write-id.ts';
import { findV3Path } from './paths.ts';
import { parseGrpcTimeout } from './timeout.ts';
import type { ParseUnary } from './unary.ts';
import { refuse } from './unary.ts';

export function parseV3Call(request: ApiRequest): ApiCall {
  const path = findV3Path(request.path);
  if (path === null) return refuse({ kind: 'notFound' });
  const upgrade = isWebSocketUpgrade(request);
  if (request.method !== 'POST' && !upgrade) return refuse({ kind: 'methodNotAllowed', allow: ['POST'] });
  const timeout = parseGrpcTimeout(request.headers.get('grpc-timeout'));
  if (timeout.kind === 'malformed') return refuse({ kind: 'badRequest', detail: timeout.detail });
  if (timeout.kind === 'passed') return refuse({ kind: 'timeout' });
  const timeoutMs = timeout.kind === 'after' ? timeout.timeoutMs : null;
  if (path.kind === 'unary' && !upgrade) return parseUnaryCall(path.parse, request, timeoutMs);
  const accepted = acceptedSubprotocol(request.headers);
  if (path.kind === 'unary') {
    return { kind: 'frames', protocol: 'v3', path: request.path, accepted, timeoutMs };
  }
  const kind = path.kind === 'watch' ? 'watch' : 'keepAliveStream';
  return { kind, protocol: 'v3', transport: upgrade ? 'websocket' : 'post', accepted, timeoutMs };
}

function parseUnaryCall(parse: ParseUnary, { body, headers }: ApiRequest, timeoutMs: number | null): ApiCall {
  const bodyBytes = body.byteLength;
  if (bodyBytes > requestBodyBytesMax)
    return refuse({ kind: 'bodyTooLarge', bytes: bodyBytes, bytesMax: requestBodyBytesMax });
  const writeId = parseWriteId(headers);
  const scanner = new Scanner(byteString(body));
  const frame = { timeoutMs, writeId: writeId.kind === 'parsed' ? writeId.writeId : null, bodyBytes };
  const call = parse(scanner, frame);
  if (call === null) return refuse({ kind: 'badRequest', detail: scanner.fault ?? 'the body is not a message' });
  // Reads have no such id, and do not look at one.
  if (writeId.kind === 'malformed' && 'writeId' in call) return refuse({ kind: 'badRequest', detail: writeId.detail });
  return call;
}
