// Which operator calls, and whether it may do what it asks for. The token of the secret OPERATOR_TOKEN has the role
// `all`. Every other token is looked up in the directory at each call, so a revoked one opens nothing from then on.

import { bearerOf, keyTextOf } from '../api/credentials.ts';
import type { Failure } from '../api/errors/failures.ts';
import { mayDo, type OperatorRole } from '../model/operators.ts';
import { operatorIdIn, Operators } from '../tenants/operators.ts';
import { equalSecrets } from '../tenants/signatures.ts';
import type { Env } from './env.ts';
import { secretFault, settingsFaults } from './settings.ts';

/** Who is to be in the audit: `operator` for the one of the secret, and `operator:<id>` for each other one. */
export type CallingOperator = { readonly actor: string; readonly role: OperatorRole };

export type OperatorAnswer =
  | { readonly kind: 'operator'; readonly operator: CallingOperator }
  | { readonly kind: 'refused'; readonly failure: Failure };

export class OperatorAccess {
  readonly #env: Env;
  readonly #operators: Operators;

  constructor(env: Env) {
    this.#env = env;
    this.#operators = new Operators(env.DIRECTORY);
  }

  /** Null: no operator calls. @throws DirectoryUnavailable where the directory would have to say who it is. */
  async caller(headers: Headers): Promise<CallingOperator | null> {
    const token = bearerOf(headers);
    if (token === null) return null;
    if (this.#isOfSecret(token)) return { actor: 'operator', role: 'all' };
    const operator = await this.#operators.byToken(token, Date.now());
    return operator === null ? null : { actor: `operator:${operator.id}`, role: operator.role };
  }

  /** @throws DirectoryUnavailable */
  async allow(headers: Headers, need: OperatorRole): Promise<OperatorAnswer> {
    const operator = await this.caller(headers);
    if (operator === null) return { kind: 'refused', failure: this.#refusal(headers) };
    const failure = roleRefusal(operator, need);
    return failure === null ? { kind: 'operator', operator } : { kind: 'refused', failure };
  }

  /** By its form alone, for errors: whoever sends an operator's token in place of a key is told so. */
  isOperatorToken(text: string): boolean {
    return this.#isOfSecret(text) || operatorIdIn(text) !== null;
  }

  /** False for a token that can be guessed, even where it is the one that was set. */
  #isOfSecret(token: string): boolean {
    const expected = this.#env.OPERATOR_TOKEN ?? '';
    return secretFault(expected) === null && equalSecrets(token, expected);
  }

  /** Why the caller is taken for no operator. */
  #refusal(headers: Headers): Failure {
    const text = bearerOf(headers) ?? keyTextOf(headers);
    if (text !== null && operatorIdIn(text) !== null) return { kind: 'operatorTokenInvalid', given: 'ended' };
    const { operator } = settingsFaults(this.#env);
    if (operator.length > 0) return { kind: 'notConfigured', faults: operator };
    const given = text === null ? 'nothing' : text.startsWith('qrt_') ? 'accessKey' : 'other';
    return { kind: 'operatorTokenInvalid', given };
  }
}

/** null: the operator has the role. */
export function roleRefusal({ role }: CallingOperator, need: OperatorRole): Failure | null {
  return mayDo(role, need) ? null : { kind: 'operatorForbidden', role, need };
}
