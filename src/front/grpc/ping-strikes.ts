// Whether a client sends pings more often than etcd takes them. The rule is that of gRPC's Go server: pings count
// against a client that come too soon after each other while nothing was sent to it.

import { grpcPingIdleMsMin, grpcPingMsMin, grpcPingStrikesMax } from '../../limits.ts';

export class PingStrikes {
  #strikes = 0;
  #lastMs = Number.NEGATIVE_INFINITY;
  #hasSent = false;

  /** Something was sent to the client. */
  sent(): void {
    this.#hasSent = true;
  }

  /** False: the connection is to end. */
  ping(nowMs: number, hasStreams: boolean): boolean {
    const sinceMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    if (this.#hasSent) {
      this.#hasSent = false;
      this.#strikes = 0;
      return true;
    }
    if (sinceMs < (hasStreams ? grpcPingMsMin : grpcPingIdleMsMin)) this.#strikes++;
    return this.#strikes <= grpcPingStrikesMax;
  }
}
