// The faults that are set on one object, and what they do to its calls. They are kept in memory alone, so a crash ends
// them.

import type { PeerAnswer } from '../../replica/peers.ts';
import type { ReplicaEnv } from '../../replica/replica.ts';
import { type Fault, type FaultsSet, noFaults } from './fault-protocol.ts';

type Way = 'in' | 'out';

export class FaultsOfObject {
  #set: FaultsSet = noFaults;

  get set(): FaultsSet {
    return this.#set;
  }

  setPeers({ direction, fail, delayMs }: Extract<Fault, { kind: 'peers' }>): void {
    const ways: readonly Way[] = direction === 'both' ? ['in', 'out'] : [direction];
    for (const way of ways) this.#set = { ...this.#set, [way]: { fail, delayMs } };
  }

  setSlow({ delayMs }: Extract<Fault, { kind: 'slow' }>): void {
    this.#set = { ...this.#set, slowMs: delayMs };
  }

  /** Waits as long as the object hangs. Every call that comes to the object passes here. */
  async hang(): Promise<void> {
    if (this.#set.slowMs > 0) await scheduler.wait(this.#set.slowMs);
  }

  meets(way: Way): boolean {
    const { fail, delayMs } = this.#set[way];
    return fail > 0 || delayMs > 0;
  }

  /** A call between peers is under way. It is late, and may be lost before it arrives: then the result is true. */
  async losesCall(way: Way): Promise<boolean> {
    const { fail, delayMs } = this.#set[way];
    if (delayMs > 0) await scheduler.wait(delayMs);
    return Math.random() < fail;
  }

  /** The call was taken. Its answer may be lost: then the result is true. */
  losesAnswer(way: Way): boolean {
    return Math.random() < this.#set[way].fail;
  }
}

type Namespace = ReplicaEnv['REPLICA'];
type Stub = ReturnType<Namespace['get']>;

/** The namespace whose stubs make the object's own calls to its peers. All other calls pass unchanged. */
export function withFaultyPeers(namespace: Namespace, faults: FaultsOfObject): Namespace {
  const get: Namespace['get'] = (id, options) => withFaultyCalls(namespace.get(id, options), faults);
  return new Proxy(namespace, {
    get(target, property) {
      if (property === 'get') return get;
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function withFaultyCalls(stub: Stub, faults: FaultsOfObject): Stub {
  // Without a fault the call leaves at once: it must leave in the turn in which it was made.
  const receive = (messages: Uint8Array): Promise<PeerAnswer> =>
    faults.meets('out') ? faultyCall(() => stub.receive(messages), faults) : stub.receive(messages);
  return new Proxy(stub, {
    get: (target, property): unknown => (property === 'receive' ? receive : Reflect.get(target, property, target)),
  });
}

async function faultyCall(call: () => Promise<PeerAnswer>, faults: FaultsOfObject): Promise<PeerAnswer> {
  if (await faults.losesCall('out')) throw new Error('lost by the fault port');
  const answer = await call();
  if (faults.losesAnswer('out')) throw new Error('the answer was lost by the fault port');
  return answer;
}
