// What clients asked and were told, and when. A checker that does not look at the log gets nothing else.

import type { ClientAction, ClientAnswer } from '../workloads/client-operation.ts';
import type { HistoryEntry, Told } from './linearizability.ts';
import { plainOutcome, plainRange } from '../models/plain.ts';

type Call = { readonly name: string; readonly action: ClientAction; readonly calledMs: number };

export class ClientHistory {
  readonly #nowMs: () => number;
  readonly #open = new Set<Call>();
  readonly #answered: HistoryEntry[] = [];

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  called(name: string, action: ClientAction): Call {
    const call = { name, action, calledMs: this.#nowMs() };
    this.#open.add(call);
    return call;
  }

  answered(call: Call, answer: ClientAnswer): void {
    // An earlier attempt may have been done: the caller was refused by its present rights.
    if (answer.kind === 'write' && answer.result.kind === 'refused') return;
    this.#open.delete(call);
    // Nothing was done, and nothing is: as if it had not been asked.
    if (answer.kind === 'write' && answer.result.kind === 'refusedAlone') return;
    const told = toldBy(answer);
    if (told !== null) this.#answered.push({ ...call, answeredMs: this.#nowMs(), told });
  }

  /** Serializable reads may show an earlier state, and a read without an answer says nothing. */
  entries(): readonly HistoryEntry[] {
    const unanswered = [...this.#open]
      .filter(({ action }) => action.kind === 'write')
      .map((call): HistoryEntry => ({ ...call, answeredMs: Number.POSITIVE_INFINITY, told: null }));
    return [...this.#answered.filter(({ action }) => !mayBeStale(action)), ...unanswered];
  }
}

function mayBeStale(action: ClientAction): boolean {
  return action.kind === 'read' && action.request.serializable;
}

function toldBy(answer: ClientAnswer): Told | null {
  if (answer.kind === 'write' && answer.result.kind === 'applied') {
    const { outcome } = answer.result;
    // How much work a command may do depends on the level of the group, which a client does not see. The command was
    // not done, as if it had not been asked for.
    if (outcome.kind === 'failed' && outcome.failure.kind === 'tooMuchWork') return null;
    return { kind: 'write', outcome: { ...plainOutcome(outcome), revision: outcome.revision } };
  }
  if (answer.kind === 'read') {
    const { result, revision } = answer;
    const told = result.kind === 'answer' ? plainRange(result.answer) : result.failure.kind;
    return { kind: 'read', revision, answer: told };
  }
  if (answer.kind === 'keepAlive' && answer.result.kind === 'answer') {
    return { kind: 'keepAlive', ttlSeconds: answer.result.answer.ttlSeconds };
  }
  return null;
}
