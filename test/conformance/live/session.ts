// A random session of one kind: its steps are drawn by weights. The seed decides the kind and every choice.

import { unreachable } from '../../../src/base/assert.ts';
import type { Body, Json } from '../conversation.ts';
import { authBeginning, authChangeStep, authStep, randomCaller } from './auth-steps.ts';
import { keyValueStep, leaseStep, maintenanceStep, type Making } from './key-value-steps.ts';
import { lockBeginning, lockEnd, lockStep } from './lock-steps.ts';
import type { Planned } from './plan.ts';
import { Random } from '../../support/random.ts';
import { respelled, spoiled } from './spelling.ts';
import { watchStep } from './watch-steps.ts';

export const sessionKinds = ['keys', 'encodings', 'watches', 'auth', 'watches with auth', 'locks', 'alarms'] as const;
export type SessionKind = (typeof sessionKinds)[number];

export type Session = { readonly seed: number; readonly kind: SessionKind; readonly steps: readonly Planned[] };

export function makeSession(seed: number): Session {
  const random = new Random(seed);
  const kind = sessionKinds[seed % sessionKinds.length] ?? 'keys';
  const steps = beginning(kind, random);
  const count = steps.length + 50 + random.below(100);
  while (steps.length < count) {
    const making: Making = { random, made: steps.length, headers: {} };
    steps.push(reworded(kind, random, step(kind, making)));
  }
  if (kind === 'locks') steps.push(...lockEnd());
  return { seed, kind, steps };
}

function beginning(kind: SessionKind, random: Random): Planned[] {
  switch (kind) {
    case 'auth':
    case 'watches with auth':
      return [
        ...random.several(10, () => keyValueStep({ random, made: 5, headers: {} })),
        ...random.several(4, () => leaseStep({ random, made: 5, headers: {} })),
        ...authBeginning(random),
      ];
    case 'locks':
      return lockBeginning();
    case 'keys':
    case 'encodings':
    case 'watches':
    case 'alarms':
      return [];
    default:
      return unreachable(kind);
  }
}

type Maker = (making: Making) => Planned;

const weights: Readonly<Record<SessionKind, readonly (readonly [weight: number, step: Maker])[]>> = {
  keys: [
    [12, keyValueStep],
    [4, leaseStep],
    [1, maintenanceStep],
  ],
  encodings: [
    [12, keyValueStep],
    [3, leaseStep],
    [3, (making) => authChangeStep({ ...making, headers: {} })],
    [3, lockStep],
    [2, watchStep],
    [1, maintenanceStep],
  ],
  watches: [
    [10, keyValueStep],
    [2, leaseStep],
    [7, watchStep],
  ],
  auth: [[1, authStep]],
  'watches with auth': [
    [8, authStep],
    [6, (making) => watchStep({ ...making, headers: randomCaller(making.random) })],
  ],
  locks: [[1, lockStep]],
  alarms: [
    [6, keyValueStep],
    [3, leaseStep],
    [4, maintenanceStep],
  ],
};

function step(kind: SessionKind, making: Making): Planned {
  return making.random.weighted(weights[kind])(making);
}

/**
 * In sessions about encodings most requests are respelled, and many are spoiled. In other sessions a few are respelled.
 */
function reworded(kind: SessionKind, random: Random, made: Planned): Planned {
  const [respell, spoil] = kind === 'encodings' ? [0.4, 0.4] : [0.05, 0];
  const reword = (value: Json, spoilable: boolean): Body => {
    const choice = random.next();
    if (choice < spoil && spoilable) return spoiled(random, value);
    return { kind: 'json', value: choice < spoil + respell ? respelled(random, value) : value };
  };
  if (made.kind === 'send' && made.body.kind === 'json') return { ...made, body: reword(made.body.value, true) };
  if (made.kind !== 'call' || made.capture !== null || made.call.body.kind !== 'json') return made;
  return { ...made, call: { ...made.call, body: reword(made.call.body.value, !unspoiled.has(made.call.path)) } };
}

const unspoiled = new Set([
  // A grant is not spoiled: it might still be a grant, of two seconds, and its lease would end during the session at
  // different moments.
  '/v3/lease/grant',
  // An action that is no action ends the process of etcd 3.7.1.
  '/v3/maintenance/alarm',
]);
