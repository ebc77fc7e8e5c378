// The methods by which a gateway that runs the code of the version before calls a replica: one for each kind of
// request. Each makes that request.

import { DurableObject } from 'cloudflare:workers';
import type {
  GroupRequest,
  GroupRequestKind,
  ObjectRequest,
  ReplicaAnswer,
  ReplicaRequest,
} from '../api/replica-request.ts';
import type { DoubtedLeaders } from '../api/forwarded.ts';

type Said<Kind extends GroupRequestKind> = Omit<GroupRequest<Kind>, 'kind'> & DoubtedLeaders;

export abstract class FormerRequests<Env> extends DurableObject<Env> {
  abstract ask(request: ReplicaRequest): Promise<ReplicaAnswer>;

  provision(said: Omit<ObjectRequest<'provision'>, 'kind'>): Promise<ReplicaAnswer> {
    return this.ask({ ...said, kind: 'provision' });
  }

  retire(): Promise<ReplicaAnswer> {
    return this.ask({ kind: 'retire' });
  }

  wipe(): Promise<ReplicaAnswer> {
    return this.ask({ kind: 'wipe' });
  }

  administer(said: Said<'administer'>): Promise<ReplicaAnswer> {
    return this.ask({ ...said, kind: 'administer' });
  }

  accessKeys(said: Said<'accessKeys'>): Promise<ReplicaAnswer> {
    return this.ask({ ...said, kind: 'accessKeys' });
  }

  replicas(said: Said<'replicas'>): Promise<ReplicaAnswer> {
    return this.ask({ ...said, kind: 'replicas' });
  }

  addReplica(said: Said<'addReplica'>): Promise<ReplicaAnswer> {
    return this.ask({ ...said, kind: 'addReplica' });
  }

  removeReplica(said: Said<'removeReplica'>): Promise<ReplicaAnswer> {
    return this.ask({ ...said, kind: 'removeReplica' });
  }
}
