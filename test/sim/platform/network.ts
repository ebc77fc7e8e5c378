// The network between the replicas of a group. What travels is the production envelope in bytes; a link may delay,
// reorder, lose, repeat or hold back what it carries, and a partition cuts links in one or in both directions.

import type { ReplicaId } from '../../../src/model/brands.ts';
import { decodeEnvelope, type Envelope, type PeerMessage } from '../../../src/driver/envelope.ts';
import type { PeerReport } from '../../../src/driver/peer-report.ts';
import { type Code, pack } from './code.ts';
import type { FaultMix } from '../faults.ts';
import type { Random } from '../../support/random.ts';
import type { Schedule } from './schedule.ts';
import { inWords, type Trace } from '../trace.ts';

const group = 'simulated';

/** `envelope`: the bytes as the present code reads them. */
export type Delivery = { readonly bytes: Uint8Array; readonly envelope: Envelope };

export type NetworkOptions = {
  readonly ids: () => readonly ReplicaId[];
  readonly random: Random;
  readonly schedule: Schedule;
  readonly trace: Trace;
  readonly faults: () => FaultMix;
  readonly deliver: (to: ReplicaId, delivery: Delivery) => void;
};

type Parcel = {
  readonly link: string;
  readonly from: ReplicaId;
  readonly to: ReplicaId;
  readonly bytes: Uint8Array;
};

export class Network {
  readonly #options: NetworkOptions;
  /** The links that carry nothing, as "from→to". */
  #cut = new Set<string>();
  /** The time that a link adds to every delay. */
  #slow = new Map<string, number>();
  /** How often the object of each replica was lost. Messages of a lost object end with it. */
  readonly #losses = new Map<ReplicaId, number>();

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  /** The message as that code writes it. */
  send(code: Code, messages: readonly PeerMessage[], report: PeerReport | null): void {
    for (const [to, toPeer] of Map.groupBy(messages, (message) => message.to)) {
      const from = toPeer[0]?.from;
      if (from === undefined) continue;
      this.#carry({ link: `${from}→${to}`, from, to, bytes: pack(code, { group, messages: toPeer, report }) });
    }
  }

  /**
   * Splits the replicas in two. One-way: the replicas on one side hear nothing from the other side, and are heard
   * there.
   */
  partition(): void {
    const { random, trace } = this.#options;
    const ids = this.#options.ids();
    const { oneWay } = this.#options.faults();
    const isLone = random.chance(0.5);
    const lone = random.pick(ids);
    const side = new Set(ids.filter((id) => (isLone ? id === lone : random.chance(0.5))));
    const direction = random.chance(oneWay) ? random.pick(['in', 'out'] as const) : 'both';
    this.#cut = new Set();
    for (const inside of ids.filter((id) => side.has(id))) {
      for (const outside of ids.filter((id) => !side.has(id))) {
        if (direction !== 'out') this.#cut.add(`${outside}→${inside}`);
        if (direction !== 'in') this.#cut.add(`${inside}→${outside}`);
      }
    }
    const cut = [...this.#cut].join(' ');
    trace.add(direction === 'both' ? 'partition' : 'one-way partition', () => cut);
  }

  join(): void {
    if (this.#cut.size === 0) return;
    this.#cut = new Set();
    this.#options.trace.add('partition ends');
  }

  slowLink(): void {
    const { random, trace } = this.#options;
    const ids = this.#options.ids();
    const link = `${random.pick(ids)}→${random.pick(ids)}`;
    this.#slow = new Map([[link, random.between(50, 1_500)]]);
    trace.add('slow link', () => link);
  }

  /** The object of that replica is lost. */
  lost(id: ReplicaId): void {
    this.#losses.set(id, this.#lossesOf(id) + 1);
  }

  heal(): void {
    this.join();
    this.#slow = new Map();
  }

  #lossesOf(id: ReplicaId): number {
    return this.#losses.get(id) ?? 0;
  }

  #carry(parcel: Parcel): void {
    const { link } = parcel;
    const { random, trace } = this.#options;
    const faults = this.#options.faults();
    if (this.#cut.has(link)) return trace.count('messages cut off');
    if (random.chance(faults.drop)) return trace.count('messages dropped');
    this.#deliverAfter(this.#delay(link), parcel);
    if (!random.chance(faults.duplicate)) return;
    trace.count('messages duplicated');
    this.#deliverAfter(this.#delay(link) + random.exponential(random.pick([1, 50, 1_000])), parcel);
  }

  #delay(link: string): number {
    const { random, trace } = this.#options;
    const faults = this.#options.faults();
    let delayMs = faults.delayMs + (this.#slow.get(link) ?? 0);
    // Without jitter a link keeps the order of what it carries.
    if (faults.jitterMs > 0) delayMs += random.exponential(faults.jitterMs);
    if (random.chance(faults.late)) {
      trace.count('messages late');
      delayMs += random.between(500, 5_000);
    }
    return delayMs;
  }

  #deliverAfter(delayMs: number, { link, from, to, bytes }: Parcel): void {
    const { schedule, trace } = this.#options;
    const losses = this.#lossesOf(from);
    schedule.after(delayMs, () => {
      if (this.#cut.has(link) || this.#lossesOf(from) > losses) return trace.count('messages cut off');
      const envelope = decodeEnvelope(bytes);
      for (const message of envelope.messages) trace.add('message', () => inWords(message));
      this.#options.deliver(to, { bytes, envelope });
    });
  }
}
