// What the platform binds to the Worker, as far as the gateway uses it.

import type { ReplicaAnswer, ReplicaRequest } from '../api/replica-request.ts';

/** The object of one replica. `ask` is its one method; the version before has other methods (`ask-replica.ts`). */
export type ReplicaStub = Pick<DurableObjectStub, 'fetch'> & {
  ask(request: ReplicaRequest): Promise<ReplicaAnswer>;
};

export type ReplicaNamespace = Pick<DurableObjectNamespace, 'idFromName'> & {
  get(id: DurableObjectId, options?: DurableObjectNamespaceGetDurableObjectOptions): ReplicaStub;
};

export type Env = {
  readonly REPLICA: ReplicaNamespace;
  readonly DIRECTORY: D1Database;
  readonly OPERATOR_TOKEN?: string;
  readonly SERVICE_SECRET?: string;
};
