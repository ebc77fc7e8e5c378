// Three replicas with a gateway before them, all production code, in one process and in virtual time: `Member` on
// simulated storage, calls that take a millisecond each way, the platform's output gate, and faults at any point of a
// call's way.
//
// Every moment at which something could go wrong is a `Point`, counted in the order in which they come. A run without a
// fault counts them; the same run with a fault at the n-th one is otherwise the same.

import { parseCall } from '../../src/api/call.ts';
import { readOf } from '../../src/api/requests.ts';
import type { FrameAnswer, FrameCall } from '../../src/api/replica-request.ts';
import { outcomeOfWrite } from '../../src/api/store-call.ts';
import { replicaId, type ReplicaId } from '../../src/model/brands.ts';
import { emptyBytes, textOf, utf8 } from '../../src/base/bytes.ts';
import { Identities } from '../../src/tenants/identities.ts';
import type { ReplicaNamespace } from '../../src/gateway/env.ts';
import { frameOf } from '../../src/routing/call-frame.ts';
import { GroupRouter } from '../../src/gateway/group-router.ts';
import { StoreCalls } from '../../src/gateway/store-calls.ts';
import { headerOf, proposeWrite } from '../../src/replica/calls/leader-steps.ts';
import type { CallAnswer } from '../../src/model/calls.ts';
import { decodeAnswer, encodeAnswer } from '../../src/session/answer-codec.ts';
import { decodeCall } from '../../src/session/call-codec.ts';
import type { TurnStep } from '../../src/driver/driver-port.ts';
import { Member } from '../../src/replica/member.ts';
import type { MemberIdentity } from '../../src/replica/member-identity.ts';
import type { PeerAnswer } from '../../src/replica/peers.ts';
import { KeyRing } from '../../src/tenants/key-text.ts';
import { Signatures } from '../../src/tenants/signatures.ts';
import { TokenRing } from '../../src/tenants/token-text.ts';
import { SimulatedSql } from '../sim/platform/simulated-sql.ts';
import { Crash, pass } from './virtual-crash.ts';

export type Point = { readonly replica: number; readonly name: TurnStep | 'asked' | 'arrived' | 'answered' | 'told' };
/** The fault that is done to the replica at the point for which it is set. */
export type Fault =
  /** The object crashes. What was not durable is lost, or all of it survives. */
  | 'crashLosing'
  | 'crashKeeping'
  /** Nothing reaches the replica and nothing leaves it, and every call under way hangs. */
  | 'cutOff'
  /** The call of the gateway that is at this point hangs for good. */
  | 'callHangs'
  /** The call of the gateway that is at this point fails. */
  | 'callFails';

const tenant = 'tenant';
const signatures = new Signatures('secret of the tests');
const locations = ['weur', 'enam', 'apac-ne'];
const wayMs = 1;
const syncMs = 1;

function nothing(): void {}

class SteppedMember extends Member {
  stepped: (step: TurnStep) => void = () => {};

  before(step: TurnStep): void {
    this.stepped(step);
  }
}

class Machine {
  readonly number: ReplicaId;
  readonly sql = new SimulatedSql();
  readonly #group: Machines;
  #member: SteppedMember | null = null;
  #synced: Promise<void> | null = null;
  /** Calls that the object has taken. They break with the object. */
  #calls = new Set<(error: Error) => void>();
  isCutOff = false;
  /** Calls between the replica and its peers are lost: its own, theirs to it, or the answers to its own. */
  lost: 'none' | 'all' | 'own' | 'answers' = 'none';
  /** How long everything that comes to the replica must wait. */
  takesMs = 0;

  constructor(group: Machines, number: ReplicaId) {
    this.#group = group;
    this.number = number;
  }

  get member(): SteppedMember {
    this.#member ??= this.#start();
    return this.#member;
  }

  /** The output gate. */
  durable(): Promise<void> {
    if (this.sql.unsynced === 0) return Promise.resolve();
    this.#synced ??= new Promise((resolve) => {
      setTimeout(() => {
        this.sql.sync();
        this.#synced = null;
        resolve();
      }, syncMs);
    });
    return this.#synced;
  }

  crash(kept: number): void {
    const member = this.#member;
    this.#member = null;
    this.#synced = null;
    const calls = this.#calls;
    this.#calls = new Set();
    this.sql.crash(kept);
    for (const breakCall of calls) breakCall(outage('the object crashed'));
    member?.stop('crashed');
  }

  /** The answer, once it may leave. The object may crash before that. */
  take<Value>(answer: () => Promise<Value>): Promise<Value> {
    return new Promise((resolve, reject) => {
      this.#calls.add(reject);
      const leave = async (): Promise<Value> => {
        const value = await answer();
        await this.durable();
        return value;
      };
      leave()
        .then(resolve, (error: unknown) => {
          if (!(error instanceof Crash)) reject(error instanceof Error ? error : new Error(String(error)));
        })
        .finally(() => this.#calls.delete(reject));
    });
  }

  #start(): SteppedMember {
    const identity: MemberIdentity = {
      tenant,
      number: this.number,
      members: locations.map((location, place) => ({ number: replicaId(place + 1), location })),
    };
    const member = new SteppedMember({
      identity,
      sql: this.sql,
      stubOf: (peer) => ({
        receive: (messages) => this.#group.peerCall(this, peer, messages),
        fetch: () => Promise.reject(new Error('peers are called by their method')),
      }),
      provision: () => Promise.resolve(),
      removed: nothing,
      restart: nothing,
      broken: nothing,
    });
    member.listen({ mayRest: () => false });
    member.stepped = (step) => {
      if (this.#member === member) this.#group.reached({ replica: this.number, name: step });
    };
    return member;
  }
}

export class Machines {
  readonly #machines: readonly Machine[];
  #gateway: StoreCalls;
  readonly key: string;
  readonly points: Point[] = [];
  #fault: { readonly at: number; readonly fault: Fault } | null = null;
  #counts = false;
  #faultyCall: 'callHangs' | 'callFails' | null = null;

  private constructor() {
    this.#machines = locations.map((_, place) => new Machine(this, replicaId(place + 1)));
    this.key = new KeyRing(signatures).issue({ tenant, keyId: 'key' });
    this.#gateway = this.#newGateway();
  }

  #newGateway(): StoreCalls {
    const namespace = {
      idFromName: (name: string) => Number(name.split('/')[1]),
      get: (number: number) => ({
        ask: (request: FrameCall) => this.#gatewayCall(this.#machine(number), request),
      }),
    };
    return new StoreCalls(
      new Identities(new KeyRing(signatures), new TokenRing(signatures)),
      new GroupRouter(namespace as unknown as ReplicaNamespace, () => Promise.resolve([])),
    );
  }

  /** From now on calls go through an isolate that knows nothing of the group. */
  forgetAll(): void {
    this.#gateway = this.#newGateway();
  }

  /** A group with a leader and a key. */
  static async start(): Promise<Machines> {
    const machines = new Machines();
    const first = machines.#machine(1).member;
    const leading = first.leader(null);
    await pass(50);
    await leading;
    const accessKey = {
      id: 'key',
      role: 'admin',
      prefix: new Uint8Array(0),
      createdAtMs: 0,
      expiresAtMs: null,
      name: '',
    } as const;
    const created = first.write({
      writeId: 's:key',
      caller: { kind: 'service' },
      operation: { kind: 'createAccessKey', accessKey },
    });
    await pass(50);
    await created;
    return machines;
  }

  /** A put by the gateway. Null: under an id that the gateway makes. */
  put(value: string, writeId: string | null): Promise<Response> {
    const headers = new Headers({ 'Quorate-Key': this.key });
    if (writeId !== null) headers.set('Idempotency-Key', writeId);
    return this.#gateway.serve(new Request('http://quorate.test/v1/kv/k', { method: 'PUT', body: value, headers }));
  }

  /** From now on points are counted, and the fault is done at one of them. */
  count(fault: { readonly at: number; readonly fault: Fault } | null = null): void {
    this.#fault = fault;
    this.#counts = true;
  }

  stopCounting(): void {
    this.#counts = false;
  }

  heal(): void {
    for (const machine of this.#machines) Object.assign(machine, { isCutOff: false, lost: 'none', takesMs: 0 });
  }

  /** The replica with this number, so that a test can do something to it. */
  replica(number: number): Pick<Machine, 'lost' | 'takesMs' | 'isCutOff' | 'crash' | 'member'> {
    return this.#machine(number);
  }

  /** Calls the replica directly, past the gateway. */
  async putAt(replica: number, value: string, writeId: string): Promise<CallAnswer | null> {
    const headers = new Headers({ 'Idempotency-Key': writeId });
    const frame = frameOf(parseCall({ method: 'PUT', path: '/v1/kv/k', query: '', headers, body: utf8(value) }));
    if (frame === null) throw new Error('a put is a frame');
    const { answer } = await serveWrite(this.#machine(replica).member, {
      kind: 'call',
      call: frame.bytes,
      caller: { kind: 'accessKey', id: 'key' },
      writeId: '',
      mayBeAlone: false,
      askedAs: null,
      timeoutMs: null,
      failedLeader: 0,
      suspectedLeader: 0,
    });
    return answer instanceof Uint8Array ? decodeAnswer(answer) : null;
  }

  /** How often the key was written, and the revision of the store, on each replica. */
  state(): readonly { readonly revision: number; readonly version: number; readonly value: string }[] {
    return this.#machines.map(({ member }) => {
      const { store } = member.driver;
      const [row] = rowsOf(store);
      return { revision: store.revision, version: row?.version ?? 0, value: row?.value ?? '' };
    });
  }

  stop(): void {
    for (const { member, sql } of this.#machines) {
      member.stop('the test is over');
      sql.close();
    }
  }

  /** A point: something that could go wrong is about to happen. */
  reached(point: Point): void {
    if (!this.#counts) return;
    this.points.push(point);
    const planned = this.#fault;
    if (planned === null || this.points.length - 1 !== planned.at) return;
    const machine = this.#machine(point.replica);
    switch (planned.fault) {
      case 'crashLosing':
      case 'crashKeeping':
        machine.crash(planned.fault === 'crashLosing' ? 0 : machine.sql.unsynced);
        throw new Crash('crashed by the test');
      case 'cutOff':
        machine.isCutOff = true;
        return;
      case 'callHangs':
      case 'callFails':
        this.#faultyCall = planned.fault;
    }
  }

  // Calls

  async peerCall(from: Machine, to: ReplicaId, messages: Uint8Array): Promise<PeerAnswer> {
    await from.durable();
    const target = this.#machine(to);
    await way();
    await this.#through(from, target);
    const isLost = [from.lost, target.lost].includes('all') || from.lost === 'own';
    if (isLost) throw new Error('the call was lost');
    await pause(target.takesMs);
    const answer = await target.take(() => Promise.resolve(target.member.receive(messages)));
    await way();
    await this.#through(from, target);
    if (from.lost === 'answers') throw new Error('the answer was lost');
    return { kind: 'envelope', bytes: answer };
  }

  async #gatewayCall(to: Machine, request: FrameCall): Promise<FrameAnswer> {
    await this.#at(to, 'asked');
    await way();
    await this.#through(to);
    await pause(to.takesMs);
    await this.#at(to, 'arrived');
    const response = await to.take(() => serveWrite(to.member, request));
    await this.#at(to, 'answered');
    await way();
    await this.#through(to);
    await this.#at(to, 'told');
    return response;
  }

  /** A point of a call of the gateway. A crash of the replica ends the call. */
  async #at(machine: Machine, name: Point['name']): Promise<void> {
    try {
      this.reached({ replica: machine.number, name });
    } catch (error) {
      throw error instanceof Crash ? outage('the object crashed') : error;
    }
    const fault = this.#faultyCall;
    this.#faultyCall = null;
    if (fault === 'callHangs') await forever();
    if (fault === 'callFails') throw outage('the call was lost');
  }

  async #through(...machines: readonly Machine[]): Promise<void> {
    if (machines.some(({ isCutOff }) => isCutOff)) await forever();
  }

  #machine(number: number): Machine {
    const machine = this.#machines[number - 1];
    if (machine === undefined) throw new Error(`there is no replica ${number}`);
    return machine;
  }
}

/** Serves a write as a replica does (`answerFrameCall`). */
async function serveWrite(member: Member, request: FrameCall): Promise<FrameAnswer> {
  const decoded = decodeCall(request.call);
  if (decoded.kind !== 'call' || decoded.call.kind !== 'write') throw new Error('only writes are served here');
  const { caller, writeId, mayBeAlone } = request;
  const doubts = { failedLeader: numberOf(request.failedLeader), suspectedLeader: numberOf(request.suspectedLeader) };
  const proposed = await proposeWrite(member, { caller, writeId, mayBeAlone, ...doubts }, decoded.call);
  const answer: CallAnswer =
    proposed.kind === 'answer'
      ? proposed.answer
      : { kind: 'answered', header: headerOf(member), outcome: outcomeOfWrite(proposed.outcome) };
  return { replica: member.identity.number, answer: encodeAnswer(answer) };
}

function rowsOf(store: Member['driver']['store']): readonly { readonly version: number; readonly value: string }[] {
  const range = store.range(readOf({ key: utf8('k'), rangeEnd: emptyBytes }));
  if (range.kind === 'failed') throw new Error(`the store answers ${range.failure.kind}`);
  return range.answer.kvs.map(({ version, value }) => ({ version, value: textOf(value) ?? '' }));
}

function numberOf(replica: number): ReplicaId | null {
  return replica === 0 ? null : replicaId(replica);
}

/** The error is marked as the platform marks errors of an object that is gone. */
function outage(message: string): Error {
  return Object.assign(new Error(message), { durableObjectReset: true });
}

function way(): Promise<void> {
  return pause(wayMs);
}

async function pause(delayMs: number): Promise<void> {
  if (delayMs === 0) return;
  await new Promise((resolve) => {
    setTimeout(resolve, delayMs);
  });
}

function forever(): Promise<never> {
  return new Promise(() => {});
}
