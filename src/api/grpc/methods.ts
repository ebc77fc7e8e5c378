// The one table of the methods of etcd's services: for each, the call of v3 that it is. What a method takes and answers
// is in its descriptor.

import type { DescMethod } from '@bufbuild/protobuf';
import { grpc } from '../errors/wire-error.ts';
import type { EtcdCallName } from '../routes.ts';
import { hasService, methodAt } from './schema.ts';
import type { GrpcStatus } from './status.ts';

const etcdMethods: Readonly<Record<string, EtcdCallName>> = {
  '/etcdserverpb.KV/Range': 'kv/range',
  // Its answer is in the message of a stream (`range-stream.ts`).
  '/etcdserverpb.KV/RangeStream': 'kv/range',
  '/etcdserverpb.KV/Put': 'kv/put',
  '/etcdserverpb.KV/DeleteRange': 'kv/deleterange',
  '/etcdserverpb.KV/Txn': 'kv/txn',
  '/etcdserverpb.KV/Compact': 'kv/compaction',
  '/etcdserverpb.Watch/Watch': 'watch',
  '/etcdserverpb.Lease/LeaseGrant': 'lease/grant',
  '/etcdserverpb.Lease/LeaseRevoke': 'lease/revoke',
  '/etcdserverpb.Lease/LeaseKeepAlive': 'lease/keepalive',
  '/etcdserverpb.Lease/LeaseTimeToLive': 'lease/timetolive',
  '/etcdserverpb.Lease/LeaseLeases': 'lease/leases',
  '/etcdserverpb.Cluster/MemberAdd': 'cluster/member/add',
  '/etcdserverpb.Cluster/MemberRemove': 'cluster/member/remove',
  '/etcdserverpb.Cluster/MemberUpdate': 'cluster/member/update',
  '/etcdserverpb.Cluster/MemberList': 'cluster/member/list',
  '/etcdserverpb.Cluster/MemberPromote': 'cluster/member/promote',
  '/etcdserverpb.Maintenance/Alarm': 'maintenance/alarm',
  '/etcdserverpb.Maintenance/Status': 'maintenance/status',
  '/etcdserverpb.Maintenance/Defragment': 'maintenance/defragment',
  '/etcdserverpb.Maintenance/Hash': 'maintenance/hash',
  '/etcdserverpb.Maintenance/HashKV': 'maintenance/hashkv',
  '/etcdserverpb.Maintenance/MoveLeader': 'maintenance/transfer-leadership',
  '/etcdserverpb.Maintenance/Downgrade': 'maintenance/downgrade',
  '/etcdserverpb.Auth/AuthEnable': 'auth/enable',
  '/etcdserverpb.Auth/AuthDisable': 'auth/disable',
  '/etcdserverpb.Auth/AuthStatus': 'auth/status',
  '/etcdserverpb.Auth/Authenticate': 'auth/authenticate',
  '/etcdserverpb.Auth/UserAdd': 'auth/user/add',
  '/etcdserverpb.Auth/UserGet': 'auth/user/get',
  '/etcdserverpb.Auth/UserList': 'auth/user/list',
  '/etcdserverpb.Auth/UserDelete': 'auth/user/delete',
  '/etcdserverpb.Auth/UserChangePassword': 'auth/user/changepw',
  '/etcdserverpb.Auth/UserGrantRole': 'auth/user/grant',
  '/etcdserverpb.Auth/UserRevokeRole': 'auth/user/revoke',
  '/etcdserverpb.Auth/RoleAdd': 'auth/role/add',
  '/etcdserverpb.Auth/RoleGet': 'auth/role/get',
  '/etcdserverpb.Auth/RoleList': 'auth/role/list',
  '/etcdserverpb.Auth/RoleDelete': 'auth/role/delete',
  '/etcdserverpb.Auth/RoleGrantPermission': 'auth/role/grant',
  '/etcdserverpb.Auth/RoleRevokePermission': 'auth/role/revoke',
  '/v3lockpb.Lock/Lock': 'lock/lock',
  '/v3lockpb.Lock/Unlock': 'lock/unlock',
  '/v3electionpb.Election/Campaign': 'election/campaign',
  '/v3electionpb.Election/Proclaim': 'election/proclaim',
  '/v3electionpb.Election/Leader': 'election/leader',
  '/v3electionpb.Election/Observe': 'election/observe',
  '/v3electionpb.Election/Resign': 'election/resign',
};

export type GrpcMethod =
  | { readonly kind: 'etcd'; readonly path: string; readonly method: DescMethod; readonly call: EtcdCallName }
  /** The front answers it by itself. */
  | { readonly kind: 'own'; readonly method: DescMethod }
  | { readonly kind: 'refused'; readonly status: GrpcStatus };

const ownServices: ReadonlySet<string> = new Set([
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
]);

/** In the words of gRPC's Go server, where there is no such method. */
export function grpcMethod(path: string): GrpcMethod {
  const method = methodAt(path);
  const call = etcdMethods[path];
  if (method === null) return refused(unknownMethod(path));
  if (call !== undefined) return { kind: 'etcd', path, method, call };
  if (ownServices.has(method.parent.typeName)) return { kind: 'own', method };
  return refused(`quorate: ${method.parent.name}.${method.name} is not served by gRPC`);
}

function refused(message: string): GrpcMethod {
  return { kind: 'refused', status: { code: grpc.unimplemented, message } };
}

function unknownMethod(path: string): string {
  const slash = path.lastIndexOf('/');
  if (slash <= 0) return `malformed method name: ${JSON.stringify(path)}`;
  const [service, method] = [path.slice(1, slash), path.slice(slash + 1)];
  return hasService(service) ? `unknown method ${method} for service ${service}` : `unknown service ${service}`;
}
