// A client of a store by sessions alone, as whoever has no front would have one: a session with each replica, and the
// project's search for the one that answers.

import { randomBytes } from 'node:crypto';
import { unreachable } from '../../src/base/assert.ts';
import { SentAttempts } from '../../src/api/sent-attempts.ts';
import { noLease } from '../../src/model/brands.ts';
import type { CallAnswer } from '../../src/model/calls.ts';
import { attemptHedgeMs, requestTimeoutMs } from '../../src/limits.ts';
import { type Attempted, type GroupCall, type Told } from '../../src/routing/attempts.ts';
import { routeCall } from '../../src/routing/group-route.ts';
import { KnownGroup } from '../../src/routing/known-group.ts';
import { encodeCall } from '../../src/session/call-codec.ts';
import type { SessionAnswer } from '../../src/session/client-port.ts';
import { SessionClient } from '../../src/session/session-client.ts';
import { sessionPort, type SessionTarget } from '../support/session-connection.ts';

type Session = { readonly client: SessionClient; readonly handle: number };

export class SessionStore {
  readonly #target: SessionTarget;
  readonly #processId = randomBytes(16);
  readonly #group = new KnownGroup();
  readonly #sessions = new Map<number, Session>();
  #lastId = 0;

  constructor(target: SessionTarget) {
    this.#target = target;
  }

  /** Resolves once the put is acknowledged. */
  async put(key: string, value: string): Promise<void> {
    const flags = { previous: false, ignoreValue: false, ignoreLease: false };
    const request = { key: Buffer.from(key), value: Buffer.from(value), lease: noLease, ...flags };
    const call = encodeCall({ kind: 'write', writeId: null, operation: { kind: 'put', request } });
    const { asking, cancel } = this.#asking(call);
    const { routed } = await routeCall(this.#group, asking);
    cancel();
    const answer = routed.kind === 'done' ? routed.value : null;
    if (answer?.kind === 'answered' && answer.outcome.kind !== 'failed') return;
    throw new Error(`a put by session ended with ${JSON.stringify(answer ?? routed)}`);
  }

  close(): void {
    for (const { client } of this.#sessions.values()) client.close();
  }

  /** `cancel`: another attempt was answered, so that what still hangs is not waited for. */
  #asking(call: Uint8Array): { readonly asking: GroupCall<CallAnswer>; readonly cancel: () => void } {
    const cancels = new Set<() => void>();
    const id = ++this.#lastId;
    const sent = new SentAttempts();
    const underWay = new Map<number, Promise<Attempted<CallAnswer>>>();
    const once = async (replica: number, { failed, suspected }: Told, signal: AbortSignal | null) => {
      const attempt = sent.begin();
      const { client, handle } = this.#with(replica);
      const doubts = { failedLeader: failed, suspectedLeader: suspected, ...attempt, seen: undefined };
      const said = await new Promise<SessionAnswer>((resolve) => {
        const sinceMs = performance.now();
        const leave = client.call(call, { id, handle, deadlineMs: requestTimeoutMs, ...doubts }, resolve);
        const cancel = (): void => {
          leave();
          if (performance.now() - sinceMs >= attemptHedgeMs) client.endIfSilent(sinceMs);
          resolve({ kind: 'lost' });
        };
        cancels.add(cancel);
        signal?.addEventListener('abort', cancel);
      });
      underWay.delete(replica);
      sent.ended(attempt, said.kind === 'answered' ? 'done' : said.kind === 'notLeader' ? 'nothing' : 'unknown');
      return attempted(said);
    };
    const ask: GroupCall<CallAnswer>['ask'] = (replica, told, signal) => {
      const asked = underWay.get(replica) ?? once(replica, told, signal);
      underWay.set(replica, asked);
      return asked;
    };
    const cancel = (): void => {
      for (const each of cancels) each();
    };
    return { asking: { patience: 'hedged', reader: null, ask }, cancel };
  }

  #with(replica: number): Session {
    const known = this.#sessions.get(replica);
    if (known !== undefined) return known;
    const client = new SessionClient(sessionPort(this.#target, { replica, processId: this.#processId }));
    const handle = client.declare({ kind: 'alone', text: this.#target.headers['Quorate-Key'] ?? '' });
    const session = { client, handle };
    this.#sessions.set(replica, session);
    return session;
  }
}

function attempted(said: SessionAnswer): Attempted<CallAnswer> {
  switch (said.kind) {
    case 'answered':
      return { kind: 'done', value: said };
    case 'notLeader':
      return { kind: 'redirect', leader: said.leader, members: said.members };
    case 'absent':
      return said;
    case 'lost':
    case 'late':
      return { kind: 'failed' };
    default:
      return unreachable(said);
  }
}
