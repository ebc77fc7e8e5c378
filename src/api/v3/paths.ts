// The paths of etcd's gateway: which exist, and which of them are served. All take POST alone.

/** Exists in etcd, is not built here yet: answered as unimplemented, by its name. */
const known: readonly string[] = [
  'lease/grant',
  'lease/revoke',
  'kv/lease/revoke',
  'lease/keepalive',
  'lease/timetolive',
  'kv/lease/timetolive',
  'lease/leases',
  'kv/lease/leases',
  ...['add', 'remove', 'update', 'list', 'promote'].map((call) => `cluster/member/${call}`),
  ...['alarm', 'status', 'defragment', 'hash', 'hashkv', 'snapshot', 'transfer-leadership', 'downgrade'].map(
    (call) => `maintenance/${call}`,
  ),
  ...['enable', 'disable', 'status', 'authenticate'].map((call) => `auth/${call}`),
  ...['add', 'get', 'list', 'delete', 'changepw', 'grant', 'revoke'].map((call) => `auth/user/${call}`),
  ...['add', 'get', 'list', 'delete', 'grant', 'revoke'].map((call) => `auth/role/${call}`),
  'lock/lock',
  'lock/unlock',
  ...['campaign', 'proclaim', 'leader', 'observe', 'resign'].map((call) => `election/${call}`),
];

export const unaryPaths = ['kv/range', 'kv/put', 'kv/deleterange', 'kv/txn', 'kv/compaction'] as const;
export type UnaryPath = (typeof unaryPaths)[number];

export type V3Path =
  | { readonly kind: 'unary'; readonly name: UnaryPath }
  | { readonly kind: 'watch' }
  | { readonly kind: 'unserved'; readonly path: string };

const paths: ReadonlyMap<string, V3Path> = new Map<string, V3Path>(
  [
    ...known.map((name): [string, V3Path] => [name, { kind: 'unserved', path: `/v3/${name}` }]),
    ...unaryPaths.map((name): [string, V3Path] => [name, { kind: 'unary', name }]),
    ['watch', { kind: 'watch' }] satisfies [string, V3Path],
  ].flatMap(([name, path]): [string, V3Path][] => [
    [`/v3/${name}`, path],
    [`/v3beta/${name}`, path],
  ]),
);

export function isV3Path(path: string): boolean {
  return path.startsWith('/v3/') || path.startsWith('/v3beta/');
}

export function findV3Path(path: string): V3Path | null {
  return paths.get(path) ?? null;
}
