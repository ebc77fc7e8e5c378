// etcd's users and roles: auth/*. A password stays in the call that asks for its hash.

import type { Permission } from '../../model/auth.ts';
import { permissionType } from '../../model/auth.ts';
import { base64, emptyBytes, utf8 } from '../../base/bytes.ts';
import { authNameBytesMax, keyBytesMax, passwordBytesMax } from '../../limits.ts';
import type { KeyRange, Operation } from '../../model/store.ts';
import type { AnswerTo } from '../../model/queries.ts';
import type { ApiCall, PasswordCall } from '../contract.ts';
import { byteString, Scanner } from '../json/scanner.ts';
import { bool, bytes, enumeration, message, submessage, text } from './message.ts';
import { readBody } from './schema.ts';
import type { RequestFacts, ParseUnary } from './unary.ts';
import { answer, failKept, queryCall, refuse, respondTo, writeCall } from './unary.ts';

const permissionNames = { READ: permissionType.read, WRITE: permissionType.write, READWRITE: permissionType.readWrite };

type Draft<Model> = { -readonly [Name in keyof Model]: Model[Name] };

const noFields = message<object>(() => ({}), {});

const nameRequest = message<{ name: string }>(() => ({ name: '' }), {
  name: text((into, value) => (into.name = value)),
});

const roleRequest = message<{ role: string }>(() => ({ role: '' }), {
  role: text((into, value) => (into.role = value)),
});

const userOptions = message<{ noPassword: boolean }>(() => ({ noPassword: false }), {
  no_password: bool((into, value) => (into.noPassword = value)),
});

type Credential = { name: string; password: string };

const credential = message<Credential>(() => ({ name: '', password: '' }), {
  name: text((into, value) => (into.name = value)),
  password: text((into, value) => (into.password = value)),
});

/** The field `hashedPassword` is passed over: etcd makes the hash itself. */
const userAddRequest = message<Credential & { noPassword: boolean }>(
  () => ({ name: '', password: '', noPassword: false }),
  {
    name: text((into, value) => (into.name = value)),
    password: text((into, value) => (into.password = value)),
    options: submessage(
      () => userOptions,
      (into, { noPassword }) => (into.noPassword = noPassword),
    ),
    hashedPassword: text(() => undefined),
  },
);

const changePasswordRequest = message<Credential>(() => ({ name: '', password: '' }), {
  name: text((into, value) => (into.name = value)),
  password: text((into, value) => (into.password = value)),
  hashedPassword: text(() => undefined),
});

const userGrantRequest = message<{ name: string; role: string }>(() => ({ name: '', role: '' }), {
  user: text((into, value) => (into.name = value)),
  role: text((into, value) => (into.role = value)),
});

const userRevokeRequest = message<{ name: string; role: string }>(() => ({ name: '', role: '' }), {
  name: text((into, value) => (into.name = value)),
  role: text((into, value) => (into.role = value)),
});

const permission = message<Draft<Permission>>(() => ({ type: 0, key: emptyBytes, rangeEnd: emptyBytes }), {
  permType: enumeration(permissionNames, (into, value) => (into.type = value)),
  key: bytes((into, value) => (into.key = value)),
  range_end: bytes((into, value) => (into.rangeEnd = value)),
});

const roleGrantRequest = message<{ role: string; permission: Permission | null }>(
  () => ({ role: '', permission: null }),
  {
    name: text((into, value) => (into.role = value)),
    perm: submessage(
      () => permission,
      (into, value) => (into.permission = value),
    ),
  },
);

const roleRevokeRequest = message<{ role: string; key: Uint8Array; rangeEnd: Uint8Array }>(
  () => ({ role: '', key: emptyBytes, rangeEnd: emptyBytes }),
  {
    role: text((into, value) => (into.role = value)),
    key: bytes((into, value) => (into.key = value)),
    range_end: bytes((into, value) => (into.rangeEnd = value)),
  },
);

function passwordCall(facts: RequestFacts, password: string, operation: (passwordHash: string) => Operation): ApiCall {
  if (utf8(password).byteLength > passwordBytesMax) return refuse({ kind: 'passwordTooLong' });
  const { timeoutMs, writeId } = facts;
  const call: PasswordCall = {
    kind: 'password',
    protocol: 'v3',
    timeoutMs,
    writeId,
    password,
    operation,
    respond: respondTo(failKept, () => ''),
  };
  return call;
}

/** A refusal where a name is too long, because no user or role has such a name; null where each name can be one. */
function refuseNames(...names: readonly string[]): ApiCall | null {
  const bytes = Math.max(...names.map((name) => utf8(name).byteLength));
  return bytes > authNameBytesMax ? refuse({ kind: 'nameTooLong', bytes }) : null;
}

/** A refusal where a bound of a permission's range is too long; null where it is not. */
function refuseRange({ key, rangeEnd }: KeyRange): ApiCall | null {
  const bytes = Math.max(key.byteLength, rangeEnd.byteLength);
  return bytes > keyBytesMax ? refuse({ kind: 'keyTooLong', bytes }) : null;
}

export const userAdd: ParseUnary = (scanner, facts) => {
  const request = readBody(userAddRequest, scanner);
  if (request === null) return null;
  const { name, password, noPassword } = request;
  const refused = refuseNames(name);
  if (refused !== null) return refused;
  if (noPassword) return writeCall(facts, { kind: 'userAdd', name, passwordHash: null });
  return passwordCall(facts, password, (passwordHash) => ({ kind: 'userAdd', name, passwordHash }));
};

export const changePassword: ParseUnary = (scanner, facts) => {
  const request = readBody(changePasswordRequest, scanner);
  if (request === null) return null;
  const { name, password } = request;
  const refused = refuseNames(name);
  if (refused !== null) return refused;
  // etcd does not hash an empty password here, and nobody can log in with one.
  if (password === '') return writeCall(facts, { kind: 'userChangePassword', name, passwordHash: '' });
  return passwordCall(facts, password, (passwordHash) => ({ kind: 'userChangePassword', name, passwordHash }));
};

export const authenticate: ParseUnary = (scanner, { timeoutMs }) => {
  const request = readBody(credential, scanner);
  if (request === null) return null;
  return {
    kind: 'authenticate',
    protocol: 'v3',
    timeoutMs,
    ...request,
    respond(result, header) {
      if (result.kind === 'failed') return failKept(result.failure);
      return answer(header, result.answer.revision, `,"token":${JSON.stringify(result.answer.token)}`);
    },
  };
};

/**
 * The name and the password of a login, for the gateway: the password may be an access key, or the name may name the
 * tenant. null where the body is no such message.
 */
export function decodeCredential(body: Uint8Array): { readonly name: string; readonly password: string } | null {
  return readBody(credential, new Scanner(byteString(body)));
}

function namesField(field: string, names: readonly string[]): string {
  return names.length === 0 ? '' : `,"${field}":${JSON.stringify(names)}`;
}

function permissionsField({ permissions }: AnswerTo<'roleGet'>): string {
  return permissions.length === 0 ? '' : `,"perm":[${permissions.map(permissionJson).join(',')}]`;
}

function permissionJson({ type, key, rangeEnd }: Permission): string {
  const name = Object.entries(permissionNames).find(([, number]) => number === type)?.[0];
  const members = [
    ...(type === permissionType.read ? [] : [`"permType":${name === undefined ? type : `"${name}"`}`]),
    ...(key.byteLength === 0 ? [] : [`"key":"${base64(key)}"`]),
    ...(rangeEnd.byteLength === 0 ? [] : [`"range_end":"${base64(rangeEnd)}"`]),
  ];
  return `{${members.join(',')}}`;
}

export const enable: ParseUnary = (scanner, facts) =>
  readBody(noFields, scanner) && writeCall(facts, { kind: 'authEnable' });

export const disable: ParseUnary = (scanner, facts) =>
  readBody(noFields, scanner) && writeCall(facts, { kind: 'authDisable' });

export const status: ParseUnary = (scanner, facts) =>
  readBody(noFields, scanner) &&
  queryCall(
    facts,
    { kind: 'authStatus' },
    ({ enabled, authRevision }) => `${enabled ? ',"enabled":true' : ''},"authRevision":"${authRevision}"`,
  );

export const userGet: ParseUnary = (scanner, facts) => {
  const request = readBody(nameRequest, scanner);
  if (request === null) return null;
  return (
    refuseNames(request.name) ??
    queryCall(facts, { kind: 'userGet', ...request }, ({ roles }) => namesField('roles', roles))
  );
};

export const userList: ParseUnary = (scanner, facts) =>
  readBody(noFields, scanner) && queryCall(facts, { kind: 'userList' }, ({ users }) => namesField('users', users));

export const userDelete: ParseUnary = (scanner, facts) => {
  const request = readBody(nameRequest, scanner);
  return request && (refuseNames(request.name) ?? writeCall(facts, { kind: 'userDelete', ...request }));
};

export const userGrantRole: ParseUnary = (scanner, facts) => {
  const request = readBody(userGrantRequest, scanner);
  if (request === null) return null;
  return refuseNames(request.name, request.role) ?? writeCall(facts, { kind: 'userGrantRole', ...request });
};

export const userRevokeRole: ParseUnary = (scanner, facts) => {
  const request = readBody(userRevokeRequest, scanner);
  if (request === null) return null;
  return refuseNames(request.name, request.role) ?? writeCall(facts, { kind: 'userRevokeRole', ...request });
};

export const roleAdd: ParseUnary = (scanner, facts) => {
  const request = readBody(nameRequest, scanner);
  return request && (refuseNames(request.name) ?? writeCall(facts, { kind: 'roleAdd', ...request }));
};

export const roleGet: ParseUnary = (scanner, facts) => {
  const request = readBody(roleRequest, scanner);
  if (request === null) return null;
  return refuseNames(request.role) ?? queryCall(facts, { kind: 'roleGet', ...request }, permissionsField);
};

export const roleList: ParseUnary = (scanner, facts) =>
  readBody(noFields, scanner) && queryCall(facts, { kind: 'roleList' }, ({ roles }) => namesField('roles', roles));

export const roleDelete: ParseUnary = (scanner, facts) => {
  const request = readBody(roleRequest, scanner);
  return request && (refuseNames(request.role) ?? writeCall(facts, { kind: 'roleDelete', name: request.role }));
};

export const roleGrantPermission: ParseUnary = (scanner, facts) => {
  const request = readBody(roleGrantRequest, scanner);
  if (request === null) return null;
  const { role, permission } = request;
  const refused = refuseNames(role) ?? (permission === null ? null : refuseRange(permission));
  return refused ?? writeCall(facts, { kind: 'roleGrantPermission', ...request });
};

export const roleRevokePermission: ParseUnary = (scanner, facts) => {
  const request = readBody(roleRevokeRequest, scanner);
  if (request === null) return null;
  const { role, key, rangeEnd } = request;
  const range = { key, rangeEnd };
  const refused = refuseNames(role) ?? refuseRange(range);
  return refused ?? writeCall(facts, { kind: 'roleRevokePermission', role, range });
};
