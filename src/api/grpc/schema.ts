// etcd's services and messages, read from their descriptors, as protobuf and as the JSON of v3.

import { Buffer } from 'node:buffer';
import {
  createFileRegistry,
  type DescFile,
  type DescMessage,
  type DescMethod,
  fromBinary,
  fromJsonString,
  type Message,
  toBinary,
  toJsonString,
} from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { textOf } from '../../base/bytes.ts';
import { protobufDepthMax } from '../../limits.ts';
import { descriptorSet } from './descriptors.ts';

const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, Buffer.from(descriptorSet, 'base64')));

/** By the path of a call: `/etcdserverpb.KV/Range`. */
const methods = new Map<string, DescMethod>();
for (const each of registry) {
  if (each.kind !== 'service') continue;
  for (const method of each.methods) methods.set(`/${each.typeName}/${method.name}`, method);
}

/** Null: no service has the method. */
export function methodAt(path: string): DescMethod | null {
  return methods.get(path) ?? null;
}

export function hasService(name: string): boolean {
  return registry.getService(name) !== undefined;
}

export const serviceNames: readonly string[] = [...registry].flatMap((each) =>
  each.kind === 'service' ? [each.typeName] : [],
);

/** The file of this name, with those that it imports, as a reader wants them: each behind what it imports. */
export function filesOf(name: string): readonly Uint8Array[] | null {
  const file = registry.getFile(name);
  return file === undefined
    ? null
    : [...withImports(file)].map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
}

/** The name of the file in which something is defined: a service, a method, a message, a field. */
export function fileDefining(symbol: string): string | null {
  const parent = symbol.slice(0, Math.max(0, symbol.lastIndexOf('.')));
  const found = registry.get(symbol) ?? registry.get(parent);
  return found === undefined ? null : found.file.proto.name;
}

function withImports(file: DescFile, into = new Set<DescFile>()): Set<DescFile> {
  for (const each of file.dependencies) withImports(each, into);
  return into.add(file);
}

/**
 * What `make` makes of a message. Null: the bytes are no such message, but cut, or a text in them is not UTF-8, or they
 * are nested beyond any measure.
 */
export function decodedMessage<Made>(
  message: DescMessage,
  bytes: Uint8Array,
  make: (decoded: Message) => Made,
): Made | null {
  try {
    return make(fromBinary(message, bytes, { recursionLimit: protobufDepthMax }));
  } catch {
    return null;
  }
}

/** A message as the JSON of v3. Null: the bytes are no such message. */
export function jsonOfMessage(message: DescMessage, bytes: Uint8Array): string | null {
  return decodedMessage(message, bytes, (decoded) => toJsonString(message, decoded));
}

/** Null: the text is no such message. */
export function messageOfJson(message: DescMessage, json: Uint8Array | string): Uint8Array | null {
  const text = typeof json === 'string' ? json : textOf(json);
  if (text === null) return null;
  try {
    return toBinary(
      message,
      fromJsonString(message, text, { ignoreUnknownFields: true, recursionLimit: protobufDepthMax }),
    );
  } catch {
    return null;
  }
}
