// What happened in a run: the last events in words, and a fingerprint of all of them. Two runs of one seed must agree
// in it.

import type { PeerMessage } from '../../src/driver/envelope.ts';
import { isSnapshotMessage } from '../../src/driver/snapshot-codec.ts';

const linesKept = 120;

/** A rule does not hold. The run ends with the seed, the faults and the last events. */
export class Violation extends Error {
  override readonly name = 'Violation';
  readonly rule: string;

  constructor(rule: string, detail: string) {
    super(`${rule}: ${detail}`);
    this.rule = rule;
  }
}

export function check(condition: unknown, rule: string, detail: () => string): asserts condition {
  if (!condition) throw new Violation(rule, detail());
}

type Line = { readonly atMs: number; readonly what: string; readonly detail: () => string };

export class Trace {
  readonly #nowMs: () => number;
  readonly #lines: Line[] = [];
  readonly counts = new Map<string, number>();
  #fingerprint = 0x811c9dc5;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** `what` is counted; the detail is put into words only when a run fails. */
  add(what: string, detail: () => string = () => ''): void {
    const atMs = this.#nowMs();
    this.count(what);
    this.#mix(Math.floor(atMs * 1_000));
    for (let place = 0; place < what.length; place++) this.#mix(what.charCodeAt(place));
    this.#lines.push({ atMs, what, detail });
    if (this.#lines.length > 2 * linesKept) this.#lines.splice(0, linesKept);
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  /** FNV-1a over the times and names of all events. */
  get fingerprint(): number {
    return this.#fingerprint >>> 0;
  }

  lastLines(): string[] {
    return this.#lines
      .slice(-linesKept)
      .map(({ atMs, what, detail }) => `${atMs.toFixed(2).padStart(10)} ${what} ${detail()}`.trimEnd());
  }

  #mix(value: number): void {
    this.#fingerprint = Math.imul(this.#fingerprint ^ value, 0x01000193);
  }
}

/** A message as the reader of a trace wants to see it. */
export function inWords(message: PeerMessage): string {
  if (isSnapshotMessage(message)) return `${message.from}→${message.to} ${message.kind}`;
  const head = `${message.from}→${message.to} ${message.kind} t${message.term}`;
  switch (message.kind) {
    case 'preVote':
    case 'vote':
      return `${head} last ${message.lastLogIndex}/${message.lastLogTerm}${message.urgent ? ' urgent' : ''}`;
    case 'preVoteReply':
    case 'voteReply':
      return `${head} ${message.granted ? 'granted' : 'refused'}`;
    case 'append':
      return `${head} after ${message.previousIndex}/${message.previousTerm} +${message.entries.length} commit ${message.commit} round ${message.round}`;
    case 'appendReply':
      return message.accepted
        ? `${head} match ${message.matchIndex} round ${message.round}`
        : `${head} rejects ${message.rejectedIndex} hint ${message.hintIndex}/${message.hintTerm}`;
    case 'heartbeat':
      return `${head} commit ${message.commit} round ${message.round}`;
    case 'heartbeatReply':
      return `${head} round ${message.round}`;
    case 'readIndex':
      return `${head} read ${message.context}`;
    case 'readIndexReply':
      return `${head} read ${message.context} index ${message.index ?? 'refused'}`;
    case 'rest':
      return `${head} commit ${message.commit}`;
    case 'snapshot':
      return `${head} base ${message.base}`;
    case 'removed':
      return `${head} members ${message.members.join(' ')}`;
    case 'timeoutNow':
      return head;
    default:
      return message satisfies never;
  }
}
