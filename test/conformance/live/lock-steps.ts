// Random locks and elections with few names and leases, so that most calls wait and get their turn in many ways.

import type { Json } from '../conversation.ts';
import type { Making } from './key-value-steps.ts';
import { planned, post, type Planned } from './plan.ts';
import type { Random } from '../../support/random.ts';
import { bytes } from './values.ts';

const names = ['l', 'l/m', 'e'] as const;
const leases = ['7', '12', '255', '-3'] as const;
const values = ['v1', 'v2', ''] as const;

/** All leases of the session but this one. */
export function lockBeginning(): Planned[] {
  return leases.slice(0, 3).map((ID) => planned(post('/v3/lease/grant', { ID, TTL: '600' })));
}

/** Ends the waits that are left: their keys end with their leases. */
export function lockEnd(): Planned[] {
  return leases.map((ID) => planned(post('/v3/lease/revoke', { ID })));
}

function keyOf(name: string, lease: string): string {
  return bytes(`${name}/${BigInt(lease).toString(16)}`);
}

function below(name: string): Json {
  return { key: bytes(`${name}/`), range_end: bytes(`${name}0`) };
}

/** The captured revision of a candidate, which a proclamation must name. */
function leaderKey(random: Random, name: string, lease: string): Json {
  const rev = random.chance(0.85) ? `\${revision_of_${nameInCaptures(name, lease)}}` : String(random.below(9));
  return { name: bytes(name), key: keyOf(name, lease), rev, lease };
}

function nameInCaptures(name: string, lease: string): string {
  return `${name}_${lease}`.replaceAll(/[^a-z0-9]/g, '_');
}

export function lockStep(making: Making): Planned {
  const { random } = making;
  const name = random.pick(names);
  const lease = random.pick(leases);
  const value = bytes(random.pick(values));
  const range = { key: keyOf(name, lease) };
  return random.weighted<() => Planned>([
    [6, () => wait('/v3/lock/lock', { name: bytes(name), lease }, below(name))],
    [5, () => planned(post('/v3/lock/unlock', range))],
    [6, () => campaign(name, lease, value)],
    [4, () => planned(post('/v3/election/proclaim', { leader: leaderKey(random, name, lease), value }))],
    [3, () => planned(post('/v3/election/resign', { leader: leaderKey(random, name, lease) }))],
    [3, () => planned(post('/v3/election/leader', { name: bytes(name) }))],
    [1, () => openObserve(name)],
    [1, () => ({ kind: 'close', id: `observe ${name}` })],
    [1.5, () => planned(post('/v3/kv/deleterange', random.chance(0.2) ? below(name) : range))],
    [1, () => planned(post('/v3/kv/put', { ...range, value, ...(random.chance(0.5) ? { lease } : {}) }))],
    [1, () => planned(post('/v3/lease/revoke', { ID: lease }))],
    [2, () => planned(post('/v3/lease/grant', { ID: lease, TTL: '600' }))],
    [2, () => planned(post('/v3/kv/range', { key: bytes('\0'), range_end: bytes('\0') }))],
    [0.3, () => planned(post(random.pick(['/v3/lock/unlock', '/v3/election/proclaim', '/v3/election/resign']), {}))],
    [0.3, () => wait('/v3/lock/lock', { lease }, { key: bytes('/'), range_end: bytes('0') })],
  ])();
}

function wait(path: string, json: Json, place: Json): Planned {
  return { kind: 'wait', call: post(path, json), capture: null, place };
}

function campaign(name: string, lease: string, value: string): Planned {
  return {
    kind: 'wait',
    call: post('/v3/election/campaign', { name: bytes(name), lease, value }),
    capture: { kind: 'shared', name: `revision_of_${nameInCaptures(name, lease)}`, path: ['leader', 'rev'] },
    place: below(name),
  };
}

function openObserve(name: string): Planned {
  return { kind: 'open', id: `observe ${name}`, as: 'post', call: post('/v3/election/observe', { name: bytes(name) }) };
}
