// Calls between replicas, with stubs in the place of the platform's.

import { describe, expect, it } from 'vitest';
import { absentLeader, leaderHeader } from '../../src/api/redirects.ts';
import { replicaId, type ReplicaId, term } from '../../src/model/brands.ts';
import { peerCallsInFlightMax, peerCallTimeoutMs } from '../../src/limits.ts';
import type { PeerMessage } from '../../src/driver/envelope.ts';
import { formerPeerUrl, type PeerAnswer, Peers, type PeerStub } from '../../src/replica/peers.ts';

const peer = replicaId(2);
const message: PeerMessage = { kind: 'preVoteReply', from: replicaId(1), to: peer, term: term(1), granted: true };

function peersWith(stub: PeerStub) {
  const absent: ReplicaId[] = [];
  let nowMs = 0;
  const peers = new Peers({
    group: 'tenant',
    stubOf: () => stub,
    received: () => {},
    report: () => null as never,
    absent: (replica) => absent.push(replica),
    present: () => {},
    nowMs: () => nowMs,
  });
  const send = async (): Promise<void> => {
    peers.send([message]);
    await new Promise(setImmediate);
  };
  return { peers, absent, send, pass: (ms: number) => (nowMs += ms) };
}

describe('calls between replicas', () => {
  it('GROUP-11: a peer whose code is of the version before is called as that knows it, until it has been updated', async () => {
    const calls: string[] = [];
    let isFormer = true;
    const { absent, send } = peersWith({
      receive: (): Promise<PeerAnswer> => {
        calls.push('receive');
        if (!isFormer) return Promise.resolve({ kind: 'absent' });
        return Promise.reject(new TypeError('The RPC receiver does not implement the method "receive".'));
      },
      fetch: (url) => {
        calls.push(url);
        if (!isFormer) return Promise.reject(new Error('reset because its code was updated'));
        return Promise.resolve(new Response(null, { status: 421, headers: { [leaderHeader]: absentLeader } }));
      },
    });
    await send();
    await send();
    expect(calls).toEqual(['receive', formerPeerUrl]);
    expect(absent).toEqual([peer]);
    isFormer = false;
    await send();
    await send();
    expect(calls).toEqual(['receive', formerPeerUrl, formerPeerUrl, 'receive']);
    expect(absent).toEqual([peer, peer]);
  });

  it('GROUP-13: a peer that was removed, or whose tenant is deleted, is not taken for one whose object is none', async () => {
    const { peers, absent, send } = peersWith({
      receive: () => Promise.resolve({ kind: 'left' }),
      fetch: () => Promise.reject(new Error('not asked')),
    });
    await send();
    expect([peers.callsInFlight, absent]).toEqual([0, []]);
  });

  it('GROUP-12: peerCallsInFlightMax calls to a peer are under way; one that takes longer than peerCallTimeoutMs makes room', async () => {
    let calls = 0;
    const { peers, send, pass } = peersWith({
      receive: () => {
        calls++;
        return new Promise(() => {});
      },
      fetch: () => Promise.reject(new Error('not asked')),
    });
    for (let count = 0; count <= peerCallsInFlightMax; count++) await send();
    expect([calls, peers.callsInFlight]).toEqual([peerCallsInFlightMax, peerCallsInFlightMax]);
    pass(peerCallTimeoutMs);
    peers.expire();
    await send();
    expect(calls).toBe(peerCallsInFlightMax);
    pass(1);
    peers.expire();
    await new Promise(setImmediate);
    await send();
    expect([calls, peers.callsInFlight]).toEqual([peerCallsInFlightMax + 1, 1]);
  });
});
