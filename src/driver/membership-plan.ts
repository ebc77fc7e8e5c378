// What a leader does next so that the group becomes what its configuration says it shall be: a learner that has caught
// up votes, and then what it replaces leaves. Each step is an entry of the log, so any later leader goes on from there.

import type { ReplicaId } from '../model/brands.ts';
import { type Configuration, without, withVoter } from '../raft/configuration.ts';

export type NextStep =
  | { readonly kind: 'change'; readonly configuration: Configuration }
  /** The leader itself is to leave: first another one must lead. */
  | { readonly kind: 'transfer'; readonly to: ReplicaId };

export type PlanState = {
  readonly self: ReplicaId;
  /** The learner has what the leader has. */
  readonly isReady: (learner: ReplicaId) => boolean;
  /** The voter has answered since the present configuration was made: it did not lose its disk before it voted. */
  readonly hasConfiguration: (voter: ReplicaId) => boolean;
};

/** null: nothing is planned, or what is planned cannot go on yet. */
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
