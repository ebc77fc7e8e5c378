// etcd's calls over JSON: from path and body to an operation or a read, and from an outcome back to etcd's answer.

import type { Operation, Outcome, RangeRequest } from '../../model.ts';
import { messageBytesMax, requestBodyBytesMax, writeBytesMax } from '../../limits.ts';
import { unreachable } from '../../assert.ts';
import type { ApiCall, ApiRequest, ReadCall, RefusedCall, ResponseHeader, WriteCall } from '../contract.ts';
import type { Failure } from '../errors.ts';
import { failureResponse } from '../errors.ts';
import { parseWriteId } from '../write-id.ts';
import { acceptedSubprotocol, isWebSocketUpgrade } from '../upgrade.ts';
import { byteString, Scanner } from '../json/scanner.ts';
import { deleteRangeFields, headerJson, putFields, rangeFields, txnFields } from './encode.ts';
import type { UnaryPath } from './paths.ts';
import { findV3Path } from './paths.ts';
import { compactionRequest, deleteRangeRequest, putRequest, rangeRequest, readBody, txnRequest } from './schema.ts';
import { operationBytes, rangeBytes } from './size.ts';
import { parseGrpcTimeout } from './timeout.ts';

/** No request is more than this much larger as protobuf than as JSON: only a negative number can be larger at all. */
const protobufMarginBytes = 1_024;

export function parseV3Call(request: ApiRequest): ApiCall {
  const path = findV3Path(request.path);
  if (path === null) return refuse({ kind: 'notFound' });
  const upgrade = isWebSocketUpgrade(request);
  if (request.method !== 'POST' && !upgrade) return refuse({ kind: 'methodNotAllowed', allow: ['POST'] });
  if (path.kind === 'unserved') return refuse({ kind: 'notServed', what: path.path });
  const timeout = parseGrpcTimeout(request.headers.get('grpc-timeout'));
  if (timeout.kind === 'malformed') return refuse({ kind: 'badRequest', detail: timeout.detail });
  if (timeout.kind === 'passed') return refuse({ kind: 'timeout' });
  const timeoutMs = timeout.kind === 'after' ? timeout.timeoutMs : null;
  if (path.kind === 'watch') {
    const accepted = acceptedSubprotocol(request.headers);
    return { kind: 'watch', protocol: 'v3', transport: upgrade ? 'websocket' : 'post', accepted, timeoutMs };
  }
  if (upgrade) return refuse({ kind: 'notServed', what: `${request.path} over a WebSocket` });
  return parseUnaryCall(path.name, request, timeoutMs);
}

function parseUnaryCall(path: UnaryPath, request: ApiRequest, timeoutMs: number | null): ApiCall {
  const { body } = request;
  if (body.byteLength > requestBodyBytesMax) return refuse({ kind: 'bodyTooLarge', bytes: body.byteLength });
  const scanner = new Scanner(byteString(body));
  if (path === 'kv/range') {
    const range = readBody(rangeRequest, scanner);
    return range === null ? malformed(scanner) : rangeCall(range, body.byteLength, timeoutMs);
  }
  const operation = readOperation(path, scanner);
  if (operation === null) return malformed(scanner);
  if (body.byteLength > writeBytesMax - protobufMarginBytes) {
    const failure = findTooLarge(operation);
    if (failure !== null) return refuse(failure);
  }
  const writeId = parseWriteId(request.headers);
  if (writeId.kind === 'malformed') return refuse({ kind: 'badRequest', detail: writeId.detail });
  return writeCall(operation, writeId.writeId, timeoutMs);
}

function readOperation(path: Exclude<UnaryPath, 'kv/range'>, scanner: Scanner): Operation | null {
  switch (path) {
    case 'kv/put': {
      const request = readBody(putRequest, scanner);
      return request === null ? null : { kind: 'put', request };
    }
    case 'kv/deleterange': {
      const request = readBody(deleteRangeRequest, scanner);
      return request === null ? null : { kind: 'deleteRange', request };
    }
    case 'kv/txn': {
      const request = readBody(txnRequest, scanner);
      return request === null ? null : { kind: 'txn', request };
    }
    case 'kv/compaction': {
      const request = readBody(compactionRequest, scanner);
      return request === null ? null : { kind: 'compact', request };
    }
    default:
      return unreachable(path);
  }
}

/** etcd looks at a put's shape before it looks at its size, and at a message's size before all else. */
function findTooLarge(operation: Operation): Failure | null {
  const bytes = operationBytes(operation);
  if (bytes > messageBytesMax) return { kind: 'bodyTooLarge', bytes };
  if (bytes <= writeBytesMax) return null;
  if (operation.kind === 'put') {
    const { key, value, lease, ignoreValue, ignoreLease } = operation.request;
    if (key.byteLength === 0) return { kind: 'keyNotProvided' };
    if (ignoreValue && value.byteLength > 0) return { kind: 'valueProvided' };
    if (ignoreLease && lease !== 0n) return { kind: 'leaseProvided' };
  }
  return { kind: 'requestTooLarge', bytes, bytesMax: writeBytesMax };
}

function rangeCall(request: RangeRequest, bodyBytes: number, timeoutMs: number | null): ReadCall | RefusedCall {
  if (bodyBytes > messageBytesMax - protobufMarginBytes) {
    const bytes = rangeBytes(request);
    if (bytes > messageBytesMax) return refuse({ kind: 'bodyTooLarge', bytes });
  }
  return {
    kind: 'read',
    protocol: 'v3',
    timeoutMs,
    request,
    serializable: request.serializable,
    respond(result, header) {
      if (result.kind === 'failed') return failureResponse('v3', result.failure);
      return answer(header, header.revision, rangeFields(result.answer));
    },
  };
}

function writeCall(operation: Operation, writeId: string | null, timeoutMs: number | null): WriteCall {
  return {
    kind: 'write',
    protocol: 'v3',
    timeoutMs,
    operation,
    writeId,
    respond(outcome, header) {
      if (outcome.kind === 'failed') return failureResponse('v3', outcome.failure);
      const { revision } = outcome;
      if (outcome.kind === 'appliedBefore') return failureResponse('v3', { kind: 'appliedBefore', revision });
      return answer(header, revision, outcomeFields(outcome));
    },
  };
}

function outcomeFields(outcome: Exclude<Outcome, { kind: 'failed' | 'appliedBefore' }>): string {
  switch (outcome.kind) {
    case 'put':
      return putFields(outcome.answer);
    case 'deleteRange':
      return deleteRangeFields(outcome.answer);
    case 'txn':
      return txnFields(outcome.answer);
    case 'leaseGrant':
    case 'alarm':
    case 'done':
    case 'compact':
    case 'createAccessKey':
    case 'revokeAccessKey':
      return '';
    default:
      return unreachable(outcome);
  }
}

/** A Headers object is copied faster than a record is read. */
const jsonHeaders = new Headers({ 'content-type': 'application/json' });

function answer(header: ResponseHeader, revision: number, fields: string): Response {
  return new Response(`{${headerJson(header, revision)}${fields}}`, { status: 200, headers: jsonHeaders });
}

function malformed(scanner: Scanner): RefusedCall {
  return refuse({ kind: 'badRequest', detail: scanner.fault ?? 'the body is not a message' });
}

function refuse(failure: Failure): RefusedCall {
  return { kind: 'refused', response: failureResponse('v3', failure) };
}
