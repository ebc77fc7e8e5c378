import { describe, expect, it } from 'vitest';
import { grpcMethod } from '../../../src/api/grpc/methods.ts';
import { health, reflection } from '../../../src/api/grpc/own-services.ts';
import { jsonOfMessage, messageOfJson, methodAt } from '../../../src/api/grpc/schema.ts';
import { etcdPath, knownPaths } from '../../../src/api/routes.ts';
import { methodPaths } from '../../support/grpc-methods.ts';

function methodOf(path: string) {
  const method = methodAt(path);
  if (method === null) throw new Error(`there is no ${path}`);
  return method;
}

describe('the services', () => {
  it('GRPC-7: every call of v3 but the dump has a method, and each method but Snapshot is served', () => {
    const served = methodPaths.map((path) => grpcMethod(path));
    const calls = served.flatMap((each) => (each.kind === 'etcd' ? [etcdPath(each.call)] : []));
    const known = knownPaths.map(({ path }) => path).filter((path) => path.startsWith('/v3/'));
    // Two methods are the same call, and so are two paths of three calls.
    const once = [...new Set(calls)];
    const twice = ['/v3/kv/lease/revoke', '/v3/kv/lease/timetolive', '/v3/kv/lease/leases'];
    expect(once.toSorted()).toEqual(
      known.filter((path) => !twice.includes(path) && path !== '/v3/maintenance/snapshot').toSorted(),
    );
    const refused = methodPaths.filter((path) => grpcMethod(path).kind === 'refused');
    expect(refused.toSorted()).toEqual(['/etcdserverpb.Maintenance/Snapshot']);
  });

  it.each([
    ['/etcdserverpb.KV/None', 'unknown method None for service etcdserverpb.KV'],
    ['/none.KV/Range', 'unknown service none.KV'],
    ['/', 'malformed method name: "/"'],
    ['/etcdserverpb.Maintenance/Snapshot', 'quorate: Maintenance.Snapshot is not served by gRPC'],
  ])('GRPC-7: %s is refused with the reason', (path, message) => {
    expect(grpcMethod(path)).toEqual({ kind: 'refused', status: { code: 12, message } });
  });
});

describe('messages', () => {
  const put = methodOf('/etcdserverpb.KV/Put').input;
  const txn = methodOf('/etcdserverpb.KV/Txn').input;

  it('GRPC-8: a message is the same in the JSON of v3 and back', () => {
    const json = '{"key":"YQ==","value":"Yg==","lease":"-9223372036854775808","prevKv":true}';
    const bytes = messageOfJson(put, json);
    expect(bytes === null ? null : jsonOfMessage(put, bytes)).toBe(json);
  });

  it('GRPC-8: unknown fields and the names of .proto files are taken', () => {
    const bytes = messageOfJson(put, '{"prev_kv":true,"none":1}');
    expect(bytes).toEqual(new Uint8Array([0x20, 1]));
    // Field 100, a number, is not known.
    expect(jsonOfMessage(put, new Uint8Array([0x20, 1, 0xa0, 6, 1]))).toBe('{"prevKv":true}');
  });

  it.each([
    ['cut', [0x0a, 5, 1]],
    ['of another wire type', [0x0f]],
  ])('GRPC-8: a message that is %s is none', (_, bytes) => {
    expect(jsonOfMessage(put, new Uint8Array(bytes))).toBeNull();
  });

  it('GRPC-8: a transaction that is nested beyond any measure is none, and no fault', () => {
    expect(jsonOfMessage(txn, nested(20_000))).toBeNull();
  });
});

/** A transaction in the first operation of a transaction, and so on. */
function nested(levels: number): Uint8Array {
  const heads: number[][] = [];
  let bytes = 0;
  for (let level = 0; level < 2 * levels; level++) {
    const head = [level % 2 === 0 ? 0x22 : 0x12];
    for (let left = bytes; ; left >>>= 7) {
      head.push(left > 127 ? (left & 127) | 128 : left);
      if (left <= 127) break;
    }
    heads.push(head);
    bytes += head.length;
  }
  return new Uint8Array(heads.toReversed().flat());
}

describe('what the front answers by itself', () => {
  it('GRPC-9: the health of each service that there is', () => {
    expect(health({}, true)).toEqual({ kind: 'answer', answer: { status: 'SERVING' } });
    expect(health({ service: 'etcdserverpb.KV' }, true)).toEqual({ kind: 'answer', answer: { status: 'SERVING' } });
    expect(health({ service: 'none' }, true)).toEqual({
      kind: 'failed',
      status: { code: 5, message: 'unknown service' },
    });
  });

  it('GRPC-9: reflection lists the services, and has the file of each symbol with the files that it imports', () => {
    expect(JSON.stringify(reflection({ listServices: '*' }))).toContain('{"name":"etcdserverpb.Watch"}');
    for (const symbol of ['etcdserverpb.KV', 'etcdserverpb.KV.Range', 'etcdserverpb.PutRequest.key']) {
      const { answer } = { answer: null, ...reflection({ fileContainingSymbol: symbol }) };
      expect(answer).toMatchObject({ fileDescriptorResponse: { fileDescriptorProto: { length: 3 } } });
    }
    expect(JSON.stringify(reflection({ fileByFilename: 'none.proto' }))).toContain('"errorCode":5');
    expect(JSON.stringify(reflection({ fileContainingExtension: {} }))).toContain('"errorCode":5');
  });
});
