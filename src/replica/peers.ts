// Calls between the replicas of a group. One call carries the messages of a turn to one peer, and brings its replies
// back. It calls a method of the object, which no URL can name, and which costs half of what a request costs
// (measured). The runtime does not retry these calls, and each has a time-out of its own: Raft repeats lost messages,
// and knows best which are still worth sending.

import type { ReplicaId } from '../model/brands.ts';
import { peerCallsInFlightMax, peerCallTimeoutMs } from '../limits.ts';
import { isUnknownMethod } from '../api/replica-request.ts';
import { absentLeader, leaderHeader } from '../api/redirects.ts';
import { decodeEnvelope, encodeEnvelope, type Envelope, type PeerMessage } from '../driver/envelope.ts';
import type { PeerReport } from '../driver/peer-report.ts';

/**
 * The URL by which peers whose code is of the version before call, and are called. No request of a client has this URL,
 * because the gateway makes the URLs of all requests.
 */
export const formerPeerUrl = 'http://replica.internal/internal/raft';

export type PeerAnswer =
  | { readonly kind: 'envelope'; readonly bytes: Uint8Array }
  /** The object is not a replica: it was never made one, or its storage is gone. */
  | { readonly kind: 'absent' }
  /** The object was a replica, and has left the group. */
  | { readonly kind: 'left' };

export type PeerStub = {
  receive(messages: Uint8Array): Promise<PeerAnswer>;
  fetch(input: string, init: RequestInit): Promise<Response>;
};
type PeerCall = { readonly startedMs: number; readonly giveUp: () => void };

export type PeersOptions = {
  readonly group: string;
  readonly stubOf: (peer: ReplicaId) => PeerStub;
  readonly received: (envelope: Envelope) => void;
  /** The report that goes with every envelope. */
  readonly report: () => PeerReport;
  /** The object is not a replica: it was never made one, or its storage is gone. */
  readonly absent: (peer: ReplicaId) => void;
  /** The peer answered a call. */
  readonly present: (peer: ReplicaId) => void;
  readonly nowMs: () => number;
};

export class Peers {
  readonly #options: PeersOptions;
  readonly #stubs = new Map<ReplicaId, PeerStub>();
  /** The peers whose code does not know `receive`. */
  readonly #former = new Set<ReplicaId>();
  readonly #calls = new Map<ReplicaId, Set<PeerCall>>();

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /** Starts the calls at once. What was written to storage before is durable before they leave. */
  send(messages: readonly PeerMessage[]): void {
    const first = messages[0];
    if (first === undefined) return;
    if (messages.every((message) => message.to === first.to)) return this.#call(first.to, messages);
    for (const [peer, toPeer] of Map.groupBy(messages, (message) => message.to)) this.#call(peer, toPeer);
  }

  /** Gives up calls that take too long. */
  expire(): void {
    const oldestMs = this.#options.nowMs() - peerCallTimeoutMs;
    for (const calls of this.#calls.values()) {
      for (const call of calls) {
        if (call.startedMs < oldestMs) call.giveUp();
      }
    }
  }

  get callsInFlight(): number {
    let count = 0;
    for (const calls of this.#calls.values()) count += calls.size;
    return count;
  }

  #call(peer: ReplicaId, messages: readonly PeerMessage[]): void {
    const calls = this.#calls.get(peer) ?? new Set();
    this.#calls.set(peer, calls);
    if (calls.size >= peerCallsInFlightMax) return;
    const { promise: givenUp, reject } = Promise.withResolvers<never>();
    const giveUp = (): void => reject(new Error(`peer ${peer} did not answer in time`));
    const call: PeerCall = { startedMs: this.#options.nowMs(), giveUp };
    calls.add(call);
    Promise.race([this.#exchange(peer, messages), givenUp]).then(
      (answer) => {
        calls.delete(call);
        if (answer.kind === 'absent') return this.#options.absent(peer);
        if (answer.kind === 'left') return;
        this.#options.present(peer);
        const reply = decodeEnvelope(answer.bytes);
        if (reply.messages.length > 0) this.#options.received(reply);
      },
      (error: unknown) => {
        // Raft repeats what was lost. A stub that threw is broken; the next call takes a new one.
        calls.delete(call);
        this.#stubs.delete(peer);
        if (isUnknownMethod(error)) this.#former.add(peer);
        else this.#former.delete(peer);
      },
    );
  }

  #exchange(peer: ReplicaId, messages: readonly PeerMessage[]): Promise<PeerAnswer> {
    const { group, report } = this.#options;
    const envelope = encodeEnvelope({ group, messages, report: report() });
    const stub = this.#stub(peer);
    if (this.#former.has(peer)) return askFormer(stub, envelope);
    // For a view of a buffer the platform would send the whole buffer.
    return stub.receive(envelope.byteLength === envelope.buffer.byteLength ? envelope : envelope.slice());
  }

  #stub(peer: ReplicaId): PeerStub {
    let stub = this.#stubs.get(peer);
    if (stub === undefined) {
      stub = this.#options.stubOf(peer);
      this.#stubs.set(peer, stub);
    }
    return stub;
  }
}

async function askFormer(stub: PeerStub, body: Uint8Array): Promise<PeerAnswer> {
  const response = await stub.fetch(formerPeerUrl, { method: 'POST', body });
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (response.headers.get(leaderHeader) === absentLeader) return { kind: 'absent' };
  return response.status === 200 ? { kind: 'envelope', bytes } : { kind: 'left' };
}
