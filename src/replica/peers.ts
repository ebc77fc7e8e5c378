// Calls between the replicas of a group: one fetch carries the messages of a turn to one peer and brings its replies back.
// The runtime does not retry these calls and each has a time-out of its own: Raft repeats what got lost, and knows better
// what is still worth saying.

import type { ReplicaId } from '../brands.ts';
import { peerCallsInFlightMax, peerCallTimeoutMs } from '../limits.ts';
import { absentLeader, leaderHeader } from '../api/routing.ts';
import { decodeEnvelope, encodeEnvelope, type Envelope, type PeerMessage } from './envelope.ts';
import type { PeerReport } from './peer-report.ts';

export const peerPath = 'http://replica.internal/internal/raft';

type Stub = { fetch(input: string, init: RequestInit): Promise<Response> };
type Call = { readonly startedMs: number; readonly abort: AbortController };

export type PeersOptions = {
  readonly group: string;
  readonly stubOf: (peer: ReplicaId) => Stub;
  readonly received: (envelope: Envelope) => void;
  /** What goes with every envelope. */
  readonly report: () => PeerReport;
  /** There is no such replica: it was never made, or its storage is gone. */
  readonly absent: (peer: ReplicaId) => void;
  /** There is: it answered. */
  readonly present: (peer: ReplicaId) => void;
  readonly nowMs: () => number;
};

export class Peers {
  readonly #options: PeersOptions;
  readonly #stubs = new Map<ReplicaId, Stub>();
  readonly #calls = new Map<ReplicaId, Set<Call>>();

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /** Starts the calls at once: what was written to storage before this moment is durable before they leave. */
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
        if (call.startedMs < oldestMs) call.abort.abort();
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
    const call: Call = { startedMs: this.#options.nowMs(), abort: new AbortController() };
    calls.add(call);
    this.#exchange(peer, messages, call.abort.signal).then(
      (reply) => {
        calls.delete(call);
        if (reply === null) return this.#options.absent(peer);
        this.#options.present(peer);
        if (reply.messages.length > 0) this.#options.received(reply);
      },
      () => {
        // Raft repeats what was lost. A stub that threw is broken; the next call takes a new one.
        calls.delete(call);
        this.#stubs.delete(peer);
      },
    );
  }

  /** null: there is no such replica. */
  async #exchange(peer: ReplicaId, messages: readonly PeerMessage[], signal: AbortSignal): Promise<Envelope | null> {
    const { group, report } = this.#options;
    const body = encodeEnvelope({ group, messages, report: report() });
    const response = await this.#stub(peer).fetch(peerPath, { method: 'POST', body, signal });
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (response.headers.get(leaderHeader) === absentLeader) return null;
    if (response.status !== 200) throw new Error(`peer ${peer} answered ${response.status}`);
    return decodeEnvelope(bytes);
  }

  #stub(peer: ReplicaId): Stub {
    let stub = this.#stubs.get(peer);
    if (stub === undefined) {
      stub = this.#options.stubOf(peer);
      this.#stubs.set(peer, stub);
    }
    return stub;
  }
}
