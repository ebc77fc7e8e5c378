// The Worker as it is deployed, and one way to crash a replica from outside. Bundled only by `npm start -- --fault-port`; the
// deployed entry, src/index.ts, knows nothing of it. The path is open to the server's process alone, by a token that it makes
// anew at each start.

import worker, { Replica as DeployedReplica } from '../index.ts';
import { faultPath, faultTokenHeader } from './fault-protocol.ts';

export * from '../index.ts';

const abortReason = 'aborted through the fault port';

export class Replica extends DeployedReplica {
  /** Crashes this object as the platform might: what was not yet durable is lost, every caller's request fails. */
  abortByFault(): void {
    this.ctx.abort(abortReason);
  }
}

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
    return await abortReplica(environment, url.searchParams.get('object') ?? '');
  },
};

async function abortReplica(environment: FaultEnvironment, object: string): Promise<Response> {
  try {
    await environment.REPLICA.get(environment.REPLICA.idFromName(object)).abortByFault();
  } catch (error) {
    // The call breaks with the object: that is how the crash shows itself to a caller.
    if (error instanceof Error && error.message.includes(abortReason)) return new Response(null, { status: 204 });
    throw error;
  }
  return new Response('the object went on after its abort', { status: 500 });
}
