// The writers of one round, each with keys of its own: half of them over HTTP, half of them on a session. They put,
// delete, and compare before they put, one write at a time, until they are told to stop or everything is killed.

import { Agent, request as httpRequest } from 'node:http';
import { readOf } from '../../src/api/requests.ts';
import { emptyBytes, utf8 } from '../../src/base/bytes.ts';
import { noLease } from '../../src/model/brands.ts';
import type { ClientWrite } from '../../src/model/calls.ts';
import { compareResult } from '../../src/model/store.ts';
import type { Target } from '../bench/workload.ts';
import { membersOf, numberIn } from '../chaos/json.ts';
import type { KillLedger } from './ledger.ts';
import { KillSession, replicas } from './session.ts';

const writers = 32;
const keysOfWriter = 25;
const longValues = 0.05;
const longValueLength = 8_000;

type Write = { readonly key: string; readonly value: string | null; readonly after: number | null };
/** Returns the revision. Null: nobody knows what became of the write. */
type Send = (write: Write) => Promise<number | null>;

export class Writers {
  readonly #ledger: KillLedger;
  readonly #done: Promise<unknown>;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #readers: readonly KillSession[];
  #isStopped = false;

  constructor(target: Target, leader: KillSession, ledger: KillLedger) {
    this.#ledger = ledger;
    const overHttp: Send = (write) => sendOverHttp(target, this.#agent, write);
    const overSession: Send = (write) => sendOverSession(leader, write);
    this.#readers = replicas.map((replica) => new KillSession(target, replica));
    const running = Array.from({ length: writers }, (_, writer) =>
      this.#write(writer, writer % 2 ? overHttp : overSession),
    );
    this.#done = Promise.all([...running, ...this.#readers.map((session) => this.#read(session))]);
  }

  /** Resolves when no call is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
    this.#agent.destroy();
    for (const session of this.#readers) session.close();
  }

  async #write(writer: number, send: Send): Promise<void> {
    for (let count = 0; !this.#isStopped; count++) {
      const key = `k${writer}/${Math.floor(Math.random() * keysOfWriter)}`;
      const before = this.#ledger.stateOf(key);
      const choice = Math.random();
      const value = choice < 0.2 && before.value !== null ? null : newValue();
      const after = choice > 0.8 && before.value !== null ? before.modRevision : null;
      if (!this.#ledger.begins(key, value)) continue;
      const revision = await send({ key, value, after });
      // A write of which nobody knows is the writer's last one.
      if (revision === null) return;
      this.#ledger.acknowledged(key, revision);
    }
  }

  /** What a replica shows by itself is shown, too. */
  async #read(session: KillSession): Promise<void> {
    while (!this.#isStopped) {
      const request = readOf({ key: utf8('k0/0'), rangeEnd: emptyBytes }, { serializable: true });
      const answer = await session.ask({ kind: 'read', request });
      if (answer.kind === 'answered' && answer.outcome.kind === 'range') this.#ledger.saw(answer.header.revision);
      else if (answer.kind === 'lost') return;
    }
  }
}

let values = 0;

function newValue(): string {
  const value = `${++values}`;
  return Math.random() < longValues ? value.padEnd(longValueLength, '.') : value;
}

async function sendOverSession(session: KillSession, write: Write): Promise<number | null> {
  const answer = await session.ask({ kind: 'write', writeId: null, operation: operationOf(write) });
  if (answer.kind !== 'answered' || answer.outcome.kind !== 'written') return null;
  const { outcome } = answer.outcome;
  if (outcome.kind === 'txn' && !outcome.answer.succeeded) throw new Error(`${write.key} was not at ${write.after}`);
  return outcome.revision;
}

function operationOf({ key, value, after }: Write): ClientWrite {
  const range = { key: utf8(key), rangeEnd: emptyBytes };
  if (value === null) return { kind: 'deleteRange', request: { ...range, previous: false } };
  const flags = { previous: false, ignoreValue: false, ignoreLease: false };
  const put = { kind: 'put', request: { key: range.key, value: utf8(value), lease: noLease, ...flags } } as const;
  if (after === null) return put;
  const isAt = { ...range, result: compareResult.equal, target: 'mod', operand: after } as const;
  return { kind: 'txn', request: { compare: [isAt], success: [put], failure: [] } };
}

function sendOverHttp({ url, headers }: Target, agent: Agent, { key, value, after }: Write): Promise<number | null> {
  const method = value === null ? 'DELETE' : 'PUT';
  const condition = after === null ? {} : { 'If-Match': `"${after}"` };
  return new Promise((resolve) => {
    const call = httpRequest(
      `${url}/v1/kv/${key}`,
      { agent, method, headers: { ...headers, ...condition } },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        answer.on('error', () => resolve(null));
        answer.on('end', () => {
          resolve(answer.statusCode === 200 && answer.complete ? revisionIn(text) : null);
        });
      },
    );
    call.on('error', () => resolve(null));
    call.end(value ?? undefined);
  });
}

/** A put is answered with the revision of its pair, and a delete with its own. */
function revisionIn(text: string): number {
  const members = membersOf(text);
  return numberIn(members, members.has('mod_revision') ? 'mod_revision' : 'revision');
}
