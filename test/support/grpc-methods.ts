// The paths of all methods that the descriptors have.

import { Buffer } from 'node:buffer';
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { descriptorSet } from '../../src/api/grpc/descriptors.ts';

const { file } = fromBinary(FileDescriptorSetSchema, Buffer.from(descriptorSet, 'base64'));

export const methodPaths: readonly string[] = file.flatMap((each) =>
  each.service.flatMap(({ name, method }) => method.map((one) => `/${each.package}.${name}/${one.name}`)),
);
