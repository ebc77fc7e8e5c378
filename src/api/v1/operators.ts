// The body of the call that makes an operator, and an operator as JSON, without its token.

import { accessKeyLifeSecondsMax, operatorNameCharactersMax } from '../../limits.ts';
import { type Operator, type OperatorRole, operatorRoles } from '../../model/operators.ts';
import { parseObject } from './fields.ts';
import type { Parsed } from './parsed.ts';

export type OperatorCreation = {
  readonly name: string;
  readonly role: OperatorRole;
  /** null: the token does not expire. */
  readonly expiresInSeconds: number | null;
};

/** People read it: control characters, and halves of characters, have no place in it. */
const nameForm = /^[^\p{Cc}\p{Cs}]+$/u;

export function parseOperatorCreation(body: Uint8Array): Parsed<OperatorCreation> {
  return parseObject(body, (fields) => {
    const name = fields.text('name') ?? '';
    if (!fields.has('name')) fields.missing('name');
    else if (!nameForm.test(name) || Array.from(name).length > operatorNameCharactersMax) {
      fields.faults.add(
        `name must have 1 to ${operatorNameCharactersMax} characters, none of them a control character`,
      );
    }
    const role = fields.choice('role', operatorRoles) ?? 'read';
    if (!fields.has('role')) fields.missing('role');
    const expiresInSeconds = fields.integer('expires_in', { min: 1, max: accessKeyLifeSecondsMax }) ?? null;
    return { name, role, expiresInSeconds };
  });
}

export function operatorJson({ id, name, role, createdAtMs, expiresAtMs }: Operator): Record<string, unknown> {
  const expiry = expiresAtMs === null ? {} : { expires_at: new Date(expiresAtMs).toISOString() };
  return { id, name, role, created_at: new Date(createdAtMs).toISOString(), ...expiry };
}
