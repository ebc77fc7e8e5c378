// The services that the front answers by itself: gRPC's health, and the reflection of what is served. Requests and
// answers are in the JSON form of their messages.

import { base64 } from '../../base/bytes.ts';
import { grpc } from '../errors/wire-error.ts';
import { fileDefining, filesOf, hasService, serviceNames } from './schema.ts';
import { type GrpcStatus, membersOf } from './status.ts';

export type OwnAnswer =
  | { readonly kind: 'answer'; readonly answer: object }
  | { readonly kind: 'failed'; readonly status: GrpcStatus };

/** The services that this process answers for. What a tenant's group can do is told by its own calls. */
export function health(request: unknown, isServing: boolean): OwnAnswer {
  const { service = '' } = membersOf(request);
  const isServed = service === '' || (typeof service === 'string' && hasService(service));
  if (!isServed) return { kind: 'failed', status: { code: grpc.notFound, message: 'unknown service' } };
  return { kind: 'answer', answer: { status: isServing ? 'SERVING' : 'NOT_SERVING' } };
}

/** Of all services at once. The empty name stands for the server. Without its options a map is a list of pairs. */
export function healthOfAll(isServing: boolean): OwnAnswer {
  const value = { status: isServing ? 'SERVING' : 'NOT_SERVING' };
  return { kind: 'answer', answer: { statuses: ['', ...serviceNames].map((key) => ({ key, value })) } };
}

export function reflection(request: unknown): OwnAnswer {
  const asked = membersOf(request);
  const answer = { validHost: asked['host'] ?? '', originalRequest: request, ...reflected(asked) };
  return { kind: 'answer', answer };
}

function reflected(asked: Readonly<Record<string, unknown>>): object {
  if ('listServices' in asked) return { listServicesResponse: { service: serviceNames.map((name) => ({ name })) } };
  if ('fileByFilename' in asked) return filesNamed(asked['fileByFilename']);
  if ('fileContainingSymbol' in asked) return filesNamed(fileDefining(String(asked['fileContainingSymbol'])));
  // No message here has extensions.
  return errorOf(grpc.notFound, 'there is no such extension');
}

function filesNamed(name: unknown): object {
  const files = typeof name === 'string' ? filesOf(name) : null;
  if (files === null) return errorOf(grpc.notFound, 'there is no such file or symbol');
  return { fileDescriptorResponse: { fileDescriptorProto: files.map((each) => base64(each)) } };
}

function errorOf(errorCode: number, errorMessage: string): object {
  return { errorResponse: { errorCode, errorMessage } };
}
