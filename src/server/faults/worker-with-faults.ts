// The Worker as it is deployed, with faults that can be done to its objects from outside: a crash, the loss of a disk,
// peers that cannot be reached, an object that hangs. Only `npm start -- --fault-port` bundles this file; the deployed
// entry, src/index.ts, knows nothing of it. The path to it is open to the server's process alone, by a token that the
// process makes anew at each start.

import type { ReplicaAnswer, ReplicaRequest } from '../../api/replica-request.ts';
import { unreachable } from '../../base/assert.ts';
import worker, { Replica as DeployedReplica } from '../../index.ts';
import type { PeerAnswer } from '../../replica/peers.ts';
import type { ReplicaEnv } from '../../replica/replica.ts';
import { type Fault, faultPath, type FaultsSet, faultTokenHeader } from './fault-protocol.ts';
import { faultKinds, parseFault } from './fault-request.ts';
import { FaultsOfObject, withFaultyPeers } from './faults-of-object.ts';

export * from '../../index.ts';

const crashReason = 'crashed through the fault port';

/** The faults of an object live as long as the object is in memory; its next instance has none. */
export class Replica extends DeployedReplica {
  readonly #faults: FaultsOfObject;
  readonly #frames = new WeakMap<WebSocket, Promise<unknown>>();

  constructor(context: DurableObjectState, env: ReplicaEnv) {
    const faults = new FaultsOfObject();
    super(context, { ...env, REPLICA: withFaultyPeers(env.REPLICA, faults) });
    this.#faults = faults;
  }

  faults(): FaultsSet {
    return this.#faults.set;
  }

  async doFault(fault: Fault): Promise<void> {
    switch (fault.kind) {
      case 'abort':
        // The platform may end an object in the same way: what was not yet durable is lost, and every request under way
        // fails.
        return this.ctx.abort(crashReason);
      case 'wipe':
        // No other event runs meanwhile, so the former instance writes nothing after the storage was emptied.
        return await this.ctx.blockConcurrencyWhile(async () => {
          await this.ctx.storage.deleteAlarm();
          await this.ctx.storage.deleteAll();
          await this.ctx.storage.sync();
          this.ctx.abort(crashReason);
        });
      case 'peers':
        return this.#faults.setPeers(fault);
      case 'slow':
        return this.#faults.setSlow(fault);
      default:
        return unreachable(fault);
    }
  }

  override async fetch(request: Request): Promise<Response> {
    await this.#faults.hang();
    return await super.fetch(request);
  }

  override async receive(messages: Uint8Array): Promise<PeerAnswer> {
    await this.#faults.hang();
    if (await this.#faults.losesCall('in')) return lost;
    const answer = await super.receive(messages);
    return this.#faults.losesAnswer('in') ? lost : answer;
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    // The frames of one socket are taken in their order, also when the object stops hanging between two frames.
    const turn = Promise.all([this.#frames.get(socket), this.#faults.hang()]);
    this.#frames.set(socket, turn);
    await turn;
    return await super.webSocketMessage(socket, message);
  }

  override async join(...call: Parameters<DeployedReplica['join']>): Promise<void> {
    await this.#faults.hang();
    await super.join(...call);
  }

  override async ask(request: ReplicaRequest): Promise<ReplicaAnswer> {
    await this.#faults.hang();
    return await super.ask(request);
  }
}

/** The peer gets no answer. A throw would fail the call instead, and fill the log. */
const lost: PeerAnswer = { kind: 'left' };

type Environment = Parameters<typeof worker.fetch>[1];
type FaultEnvironment = Omit<Environment, 'REPLICA'> & {
  readonly REPLICA: DurableObjectNamespace<Replica>;
  readonly FAULT_TOKEN: string;
};

export default {
  ...worker,
  async fetch(request: Request, environment: FaultEnvironment): Promise<Response> {
    const url = new URL(request.url);
    const isFault = url.pathname === faultPath && request.headers.get(faultTokenHeader) === environment.FAULT_TOKEN;
    if (!isFault) return await worker.fetch(request, environment);
    return request.method === 'GET'
      ? await tellFaults(environment, url.searchParams.get('object') ?? '')
      : await doFault(environment, url.searchParams.get('kind') ?? '', await request.text());
  },
};

async function tellFaults({ REPLICA }: FaultEnvironment, object: string): Promise<Response> {
  return Response.json(await REPLICA.get(REPLICA.idFromName(object)).faults());
}

async function doFault({ REPLICA }: FaultEnvironment, kindText: string, body: string): Promise<Response> {
  const kind = faultKinds.find((known) => known === kindText);
  if (kind === undefined) return new Response(`no fault is called "${kindText}"`, { status: 400 });
  const parsed = parseFault(kind, body);
  if (parsed.kind === 'invalid') return new Response(parsed.reason, { status: 400 });
  const { tenant, replica, fault } = parsed.request;
  try {
    await REPLICA.get(REPLICA.idFromName(`${tenant}/${replica}`)).doFault(fault);
  } catch (error) {
    // The call breaks with its object, which is how a caller notices a crash.
    if (error instanceof Error && error.message.includes(crashReason)) return new Response(null, { status: 204 });
    throw error;
  }
  const crashes = kind === 'abort' || kind === 'wipe';
  return crashes
    ? new Response('the object went on after its crash', { status: 500 })
    : new Response(null, { status: 204 });
}
