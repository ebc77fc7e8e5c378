// A group whose replicas answer as a test says, in virtual time: it shows what the router asks, when, and which
// replica.

import { vi } from 'vitest';
import type { Patience } from '../../src/api/endpoint.ts';
import type { AttemptAnswer } from '../../src/api/redirects.ts';
import type { Told } from '../../src/routing/attempts.ts';
import type { ReplicaNamespace } from '../../src/gateway/env.ts';
import { GroupRouter } from '../../src/gateway/group-router.ts';
import type { Routed } from '../../src/routing/attempts.ts';
import type { Reader } from '../../src/routing/known-group.ts';

export type Asked = { readonly atMs: number; readonly replica: number } & Told;
export type Script = (told: Told) => AttemptAnswer<string> | 'fails' | 'hangs';
/** The replica answers this, after so many milliseconds. */
export type Behaviour = { readonly afterMs: number; readonly answer: Script };

const members = [1, 2, 3].map((number) => ({ number, location: ['weur', 'enam', 'apac-ne'][number - 1] ?? '' }));

export const hangs: Behaviour = { afterMs: 0, answer: () => 'hangs' };
export const fails: Behaviour = { afterMs: 1, answer: () => 'fails' };

export function answers(afterMs = 1): Behaviour {
  return { afterMs, answer: () => ({ kind: 'done', value: 'answered' }) };
}

export function sendsTo(leader: number, afterMs = 1): Behaviour {
  return { afterMs, answer: () => ({ kind: 'redirect', leader, members }) };
}

/** The replica was removed, and names the replicas that went on. */
export function wentOnWith(...numbers: readonly number[]): Behaviour {
  const others = numbers.map((number) => ({ number, location: '' }));
  return { afterMs: 1, answer: () => ({ kind: 'redirect', leader: 0, members: others }) };
}

export const isNone: Behaviour = { afterMs: 1, answer: () => ({ kind: 'absent' }) };

export class ScriptedGroup {
  readonly asked: Asked[] = [];
  readonly aborted: number[] = [];
  directoryAsked = 0;
  readonly #behaviours = new Map<number, Behaviour>();
  readonly #router: GroupRouter;
  readonly #startMs = Date.now();

  /** `placed`: the locations that the directory tells. Null: the directory does not answer. */
  constructor(behaviours: Readonly<Record<number, Behaviour>>, placed: readonly number[] | null = []) {
    for (const [replica, behaviour] of Object.entries(behaviours)) this.set(Number(replica), behaviour);
    const namespace = { idFromName: (name: string) => name, get: (id: string) => Number(id.split('/')[1]) };
    this.#router = new GroupRouter(namespace as unknown as ReplicaNamespace, () => {
      this.directoryAsked++;
      if (placed === null) return Promise.resolve(null);
      return Promise.resolve(placed.map((number) => ({ number, location: 'weur' })));
    });
  }

  set(replica: number, behaviour: Behaviour): void {
    this.#behaviours.set(replica, behaviour);
  }

  call(patience: Patience = 'hedged', reader: Reader | null = null): Promise<Routed<string>> {
    return this.#router.route<string>('tenant', {
      patience,
      reader,
      ask: (stub, told, signal) => this.#answer(Number(stub), told, signal),
    });
  }

  /** The replicas that were asked, and when. */
  get order(): readonly string[] {
    return this.asked.map(({ replica, atMs }) => `${replica} at ${atMs}`);
  }

  #answer(replica: number, told: Told, signal: AbortSignal | null): Promise<AttemptAnswer<string>> {
    this.asked.push({ atMs: Date.now() - this.#startMs, replica, ...told });
    const { afterMs, answer } = this.#behaviours.get(replica) ?? hangs;
    return new Promise((resolve, reject) => {
      signal?.addEventListener('abort', () => {
        this.aborted.push(replica);
        reject(new Error('aborted'));
      });
      const attempt = answer(told);
      if (attempt === 'hangs') return;
      setTimeout(() => {
        if (attempt === 'fails') reject(Object.assign(new Error('gone'), { durableObjectReset: true }));
        else resolve(attempt);
      }, afterMs);
    });
  }
}

/** The outcome of a call so far. Null: there is none yet. */
export async function after<Value>(delayMs: number, call: Promise<Value>): Promise<Value | null> {
  let settled: Value | null = null;
  call.then(
    (value) => (settled = value),
    () => {},
  );
  await vi.advanceTimersByTimeAsync(delayMs);
  return settled;
}
