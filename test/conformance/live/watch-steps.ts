// Random watches on WebSockets and POST streams: starts, ranges, filters, previous values, fragments, ids, progress,
// cancelling.

import type { Json, JsonObject } from '../conversation.ts';
import type { Making } from './key-value-steps.ts';
import { post, type Headers, type Planned } from './plan.ts';
import type { Random } from '../../support/random.ts';
import { optional, randomRange, randomRevision } from './values.ts';

const sockets = ['socket1', 'socket2'] as const;
const posts = ['post1', 'post2'] as const;

function create(making: Making): JsonObject {
  const { random, made } = making;
  return {
    create_request: {
      ...randomRange(random),
      ...optional(random, {
        start_revision: [0.5, () => randomRevision(random, made)],
        filters: [0.2, () => random.pick<Json>([['NOPUT'], ['NODELETE'], ['NOPUT', 'NODELETE'], [0]])],
        prev_kv: [0.4, () => true],
        watch_id: [0.2, () => String(random.below(4))],
        fragment: [0.2, () => true],
        progress_notify: [0.1, () => true],
      }),
    },
  };
}

function request(making: Making): JsonObject {
  const { random } = making;
  return random.weighted<() => JsonObject>([
    [8, () => create(making)],
    [3, () => ({ cancel_request: { watch_id: String(random.below(5)) } })],
    [0.3, () => ({})],
  ])();
}

export function watchStep(making: Making): Planned {
  const { random, headers } = making;
  const socket = random.pick(sockets);
  const stream = random.pick(posts);
  return random.weighted<() => Planned>([
    [3, () => openSocket(socket, headers)],
    [8, () => ({ kind: 'send', id: socket, body: { kind: 'json', value: request(making) } })],
    [2, () => openPost(random, stream, making)],
    [2, () => ({ kind: 'progress', id: socket })],
    [0.5, () => ({ kind: 'close', id: socket })],
    [1, () => ({ kind: 'close', id: stream })],
    [3, () => ({ kind: 'gather' })],
  ])();
}

/** A browser cannot set Authorization on a WebSocket: etcd takes the token as a second protocol, or from a cookie. */
function openSocket(id: string, headers: Headers): Planned {
  const token = headers['authorization']?.replace('Bearer ', '');
  const upgrade: Headers = token === undefined ? {} : { 'sec-websocket-protocol': `Bearer, ${token}` };
  const call = { method: 'GET', path: '/v3/watch', headers: upgrade, body: { kind: 'none' } } as const;
  return { kind: 'open', id, as: 'websocket', call };
}

function openPost(random: Random, id: string, making: Making): Planned {
  const text = random.several(1 + random.below(2), () => JSON.stringify(create(making))).join('\n');
  return {
    kind: 'open',
    id,
    as: 'post',
    call: { ...post('/v3/watch', null, making.headers), body: { kind: 'text', text } },
  };
}
