// What clients ask for. Each client has a workload of its own, which remembers what the client was told.

import { unreachable } from '../../../src/base/assert.ts';
import type { LeaseId } from '../../../src/model/brands.ts';
import type { ClientAction, ClientAnswer } from './client-operation.ts';
import type { WorkloadName } from '../faults.ts';
import type { Random } from '../../support/random.ts';
import { BatchWorkload } from './workload-batch.ts';
import { KubernetesWorkload } from './workload-kubernetes.ts';
import { MixedWorkload } from './workload-mixed.ts';

export interface Workload {
  /** `name`: the name of the operation, unique in a run. */
  next(name: string): ClientAction;
  learned(action: ClientAction, answer: ClientAnswer): void;
  /** A write that always changes the store. */
  plainPut(name: string, lease: LeaseId): ClientAction;
}

export type WorkloadOptions = {
  /** The number of the client. */
  readonly number: number;
  readonly random: Random;
  readonly longLeases: boolean;
};

export function workloadOf(name: WorkloadName, options: WorkloadOptions): Workload {
  switch (name) {
    case 'mixed':
      return new MixedWorkload(options);
    case 'kubernetes':
      return new KubernetesWorkload(options);
    case 'batch':
      return new BatchWorkload(options);
    default:
      return unreachable(name);
  }
}
