// Random users, roles and permissions, and calls in the name of one user or another, with a token that may have ended,
// or without one.

import type { Json } from '../conversation.ts';
import { keyValueStep, leaseStep, maintenanceStep, type Making } from './key-value-steps.ts';
import { planned, post, type Headers, type Planned } from './plan.ts';
import type { Random } from '../../support/random.ts';
import { optional, randomRange } from './values.ts';

const users = ['root', 'ann', 'bob'] as const;
const roles = ['root', 'readers', 'writers'] as const;
const passwords = ['p', 'q'] as const;

/** Root and two users with roles; auth is on and all three are logged in. */
export function authBeginning(random: Random): Planned[] {
  return [
    ...users.map((name) => administer('user/add', { name, password: 'p' })),
    ...roles.map((name) => administer('role/add', { name })),
    administer('user/grant', { user: 'root', role: 'root' }),
    administer('user/grant', { user: 'ann', role: 'readers' }),
    administer('user/grant', { user: 'bob', role: 'writers' }),
    ...random.several(4, () =>
      administer('role/grant', { name: random.pick(['readers', 'writers']), perm: permission(random) }),
    ),
    administer('enable', {}),
    ...users.map((name) => authenticate(name, 'p')),
  ];
}

function administer(path: string, json: Json): Planned {
  return planned(post(`/v3/auth/${path}`, json));
}

function permission(random: Random): Json {
  return {
    ...optional(random, { permType: [0.9, () => random.pick<Json>(['READ', 'WRITE', 'READWRITE', 'READWRITE', 1])] }),
    ...randomRange(random),
  };
}

function authenticate(name: string, password: string): Planned {
  return planned(post('/v3/auth/authenticate', { name, password }), {
    kind: 'own',
    name: `token_${name}`,
    member: 'token',
  });
}

/**
 * In whose name a step is done: one of the users, in either form of the header, sometimes nobody, or somebody with a
 * wrong token.
 */
export function randomCaller(random: Random): Headers {
  const name = random.weighted<(typeof users)[number]>([
    [3, 'root'],
    [4, 'ann'],
    [4, 'bob'],
  ]);
  return random.weighted<Headers>([
    [10, { authorization: `\${token_${name}}` }],
    [3, { authorization: `Bearer \${token_${name}}` }],
    [1, { 'grpc-metadata-token': `\${token_${name}}` }],
    [1, {}],
    [0.5, { authorization: 'nonsense.7' }],
  ]);
}

/** Changes of users and roles are mostly done by root, so that they mostly succeed. */
export function authChangeStep(making: Making): Planned {
  const { random } = making;
  const headers = random.chance(0.8) ? { authorization: '${token_root}' } : making.headers;
  const call = (path: string, json: Json): Planned => planned(post(`/v3/auth/${path}`, json, headers));
  const user = random.chance(0.05) ? 'nobody' : random.pick(users);
  const role = random.chance(0.05) ? '' : random.pick(roles);
  const password = random.pick(passwords);
  return random.weighted<() => Planned>([
    [6, () => call('role/grant', { name: role, perm: permission(random) })],
    [3, () => call('role/revoke', { role, ...randomRange(random) })],
    [3, () => call('role/get', { role })],
    [1, () => call('role/list', {})],
    [1, () => call('role/add', { name: role })],
    [0.7, () => call('role/delete', { role })],
    [3, () => call('user/grant', { user, role })],
    [2, () => call('user/revoke', { name: user, role })],
    [3, () => call('user/get', { name: user })],
    [1, () => call('user/list', {})],
    [
      1,
      () =>
        call('user/add', {
          name: user,
          password,
          ...optional(random, { options: [0.2, () => ({ no_password: true })] }),
        }),
    ],
    [0.5, () => call('user/delete', { name: user })],
    [0.7, () => call('user/changepw', { name: user, password })],
    [2, () => call('status', {})],
    [0.4, () => call('disable', {})],
    [1, () => call('enable', {})],
    [3, () => authenticate(user, password)],
  ])();
}

export function authStep(making: Making): Planned {
  const asCaller = { ...making, headers: randomCaller(making.random) };
  return making.random.weighted<(making: Making) => Planned>([
    [8, keyValueStep],
    [3, leaseStep],
    [1, maintenanceStep],
    [5, authChangeStep],
  ])(asCaller);
}
