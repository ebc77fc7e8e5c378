// The operators of the service: several, each with a token and a role, in the directory. Of a token only its hash is
// kept. The operator who has the Worker's secret OPERATOR_TOKEN is not among them: it makes the first ones.

import { createHash } from 'node:crypto';
import type { Operator, OperatorRole } from '../model/operators.ts';
import { answered } from './directory.ts';
import { newId } from './key-text.ts';
import { base32 } from './signatures.ts';

/** `qro_<id>_<secret>`. The secret is 160 random bits, so its hash needs no salt and no work. */
const tokenForm = /^qro_([a-z0-9]{1,32})_[a-z2-7]{32}$/;
const secretBytes = 20;

export function newOperatorToken(): { readonly id: string; readonly token: string } {
  const id = newId();
  return { id, token: `qro_${id}_${base32(crypto.getRandomValues(new Uint8Array(secretBytes)))}` };
}

/** Null: the text has not the form of an operator's token. */
export function operatorIdIn(token: string): string | null {
  return tokenForm.exec(token)?.[1] ?? null;
}

type OperatorRow = {
  id: string;
  name: string;
  role: OperatorRole;
  created_at_ms: number;
  expires_at_ms: number | null;
};

const columns = 'id, name, role, created_at_ms, expires_at_ms';

export class Operators {
  readonly #database: D1DatabaseSession;

  constructor(database: D1Database) {
    this.#database = database.withSession('first-primary');
  }

  /** False: there are `max` operators already. */
  async add(operator: Operator, token: string, max: number): Promise<boolean> {
    const { id, name, role, createdAtMs, expiresAtMs } = operator;
    const statement = this.#database.prepare(
      `INSERT INTO operators (${columns}, token_hash)
        SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE (SELECT count(*) FROM operators) < ?7`,
    );
    const inserted = statement.bind(id, name, role, createdAtMs, expiresAtMs, hashOf(token), max).run();
    return (await answered(inserted)).meta.changes > 0;
  }

  /** The operator whose token this is. Null: it is nobody's, was revoked, or has expired. */
  async byToken(token: string, nowMs: number): Promise<Operator | null> {
    const id = operatorIdIn(token);
    if (id === null) return null;
    const statement = this.#database.prepare(
      `SELECT ${columns} FROM operators
        WHERE id = ?1 AND token_hash = ?2 AND (expires_at_ms IS NULL OR expires_at_ms > ?3)`,
    );
    const row = await answered(statement.bind(id, hashOf(token), nowMs).first<OperatorRow>());
    return row === null ? null : operatorOf(row);
  }

  /** The oldest first. */
  async list(): Promise<Operator[]> {
    const statement = this.#database.prepare(`SELECT ${columns} FROM operators ORDER BY created_at_ms, id`);
    return (await answered(statement.all<OperatorRow>())).results.map(operatorOf);
  }

  /** False: there is no such operator. */
  async remove(id: string): Promise<boolean> {
    const statement = this.#database.prepare('DELETE FROM operators WHERE id = ?').bind(id);
    return (await answered(statement.run())).meta.changes > 0;
  }
}

function operatorOf({ id, name, role, created_at_ms, expires_at_ms }: OperatorRow): Operator {
  return { id, name, role, createdAtMs: created_at_ms, expiresAtMs: expires_at_ms };
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
