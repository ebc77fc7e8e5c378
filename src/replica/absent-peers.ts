// Members whose Durable Object does not exist. The object of a learner is made: the learner was added to the log first,
// so that whoever deletes the tenant knows of it. The storage of a voter is lost, and with it what the voter promised:
// it cannot come back as itself, so a new replica takes its place.

import type { ReplicaId } from '../model/brands.ts';
import { absentReplaceMs } from '../limits.ts';
import { type Configuration, encodeConfiguration, memberOf, withLearner, without } from '../raft/configuration.ts';
import type { Driver } from '../driver/driver.ts';

export type Joining = { readonly number: ReplicaId; readonly location: string; readonly configuration: Uint8Array };

export type AbsentPeersOptions = {
  readonly driver: Pick<Driver, 'raft' | 'absent' | 'proposeConfiguration'>;
  /** Makes the object of a learner. It may be called again. */
  readonly provision: (joining: Joining) => Promise<void>;
  readonly nowMs: () => number;
};

export class AbsentPeers {
  readonly #options: AbsentPeersOptions;
  readonly #provisioning = new Map<ReplicaId, Promise<void>>();
  /** The time since which the object of each voter was always absent, and the last time at which it was. */
  readonly #since = new Map<ReplicaId, { readonly sinceMs: number; lastMs: number }>();

  constructor(options: AbsentPeersOptions) {
    this.#options = options;
  }

  /** A call found no object of this replica. */
  absent(peer: ReplicaId): void {
    const { driver } = this.#options;
    const { raft } = driver;
    if (raft.role !== 'leader' || memberOf(raft.configuration, peer) === null) return;
    driver.absent(peer);
    // A promotion that was not committed yet has been taken back.
    const member = memberOf(raft.configuration, peer);
    if (member === null || !raft.isConfigurationCommitted) return;
    if (member.voter) this.#replace(peer, member.location);
    else this.#provision(peer, member.location, raft.configuration);
  }

  /** The replica answered, so a later absence is a new one. */
  present(peer: ReplicaId): void {
    this.#since.delete(peer);
  }

  /** Resolves when no object is being made any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#provisioning.values());
  }

  #provision(number: ReplicaId, location: string, configuration: Configuration): void {
    if (this.#provisioning.has(number)) return;
    const joining = { number, location, configuration: encodeConfiguration(configuration) };
    // If this fails, the next call finds no object again.
    const made = this.#options.provision(joining).catch(() => undefined);
    this.#provisioning.set(number, made);
    void made.then(() => this.#provisioning.delete(number));
  }

  #replace(peer: ReplicaId, location: string): void {
    const { driver, nowMs } = this.#options;
    const now = nowMs();
    const known = this.#since.get(peer);
    // An absence long ago says nothing of the time between, and neither does a time that a clock which was set back
    // took for later.
    if (known === undefined || now < known.lastMs || now - known.lastMs > absentReplaceMs) {
      this.#since.set(peer, { sinceMs: now, lastMs: now });
      return;
    }
    known.lastMs = now;
    if (now - known.sinceMs < absentReplaceMs) return;
    const { configuration } = driver.raft;
    const plan = memberOf(configuration, peer)?.plan ?? null;
    // The replica was lost before it could take the place that it was made for, so another one is made for that place.
    if (plan !== null) {
      driver.proposeConfiguration(configuration, withLearner(without(configuration, peer), { location, plan }));
    } else if (configuration.members.every((member) => member.plan === null)) {
      driver.proposeConfiguration(configuration, withLearner(configuration, { location, plan: { replaces: peer } }));
    }
  }
}
