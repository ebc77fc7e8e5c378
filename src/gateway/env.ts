// What the platform binds to the Worker. The one place of the gateway that names the object's class, for its types
// alone.

import type { Replica } from '../replica/replica.ts';

export type Env = {
  readonly REPLICA: DurableObjectNamespace<Replica>;
  readonly DIRECTORY: D1Database;
  readonly OPERATOR_TOKEN?: string;
  readonly SERVICE_SECRET?: string;
};

export type ReplicaNamespace = Env['REPLICA'];
export type ReplicaStub = DurableObjectStub<Replica>;
