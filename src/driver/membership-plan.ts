// What a leader does next so that the group becomes what its configuration plans: a learner that has caught up gets a
// vote, and then the member that it replaces leaves. Each step is an entry of the log, so any later leader goes on from
// there.

import type { ReplicaId } from '../model/brands.ts';
import { type Configuration, without, withVoter } from '../raft/configuration.ts';

export type NextStep =
  | { readonly kind: 'change'; readonly configuration: Configuration }
  /** The leader itself is to leave, so another replica must lead first. */
  | { readonly kind: 'transfer'; readonly to: ReplicaId };

export type PlanState = {
  readonly self: ReplicaId;
  /** Whether the learner has what the leader has. */
  readonly isReady: (learner: ReplicaId) => boolean;
  /**
   * Whether the voter has answered since the present configuration was made, and so did not lose its disk before it
   * voted.
   */
  readonly hasConfiguration: (voter: ReplicaId) => boolean;
};

/** Null: nothing is planned, or what is planned cannot go on yet. */
export function nextStep(configuration: Configuration, state: PlanState): NextStep | null {
  const { self, isReady, hasConfiguration } = state;
  for (const { id, voter, plan } of configuration.members) {
    if (plan === null) continue;
    if (!voter) {
      if (isReady(id)) return { kind: 'change', configuration: withVoter(configuration, id) };
    } else if (plan.replaces === self) {
      return { kind: 'transfer', to: id };
    } else if (plan.replaces !== null && hasConfiguration(id)) {
      return { kind: 'change', configuration: without(configuration, plan.replaces) };
    }
  }
  return null;
}
