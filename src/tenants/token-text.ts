// A token of one of etcd's users as text: `qru_<tenant>_<use>_<auth revision>_<user name>_<signature>`. A token is a
// statement and not a session: the tenant's group compares its auth revision, and so knows whether the token has ended.

import { textOf, utf8 } from '../base/bytes.ts';
import { verifiedTokensCachedMax } from '../limits.ts';
import { signatureForm, type Signatures } from './signatures.ts';

export type UserToken = {
  readonly tenant: string;
  /**
   * 'beside': the token is good beside an access key, which bounds it; it was given to a user who logged in with that
   * key. 'alone': the token names its tenant itself; it was given to a user who logged in as user@tenant.
   */
  readonly use: 'beside' | 'alone';
  /** The auth revision of the store when the password was checked. */
  readonly authRevision: number;
  readonly name: string;
};

const letters = { beside: 'b', alone: 'a' } as const;
const tokenPattern = new RegExp(`^qru_([a-z0-9]{1,32})_([ab])_([0-9]{1,15})_([0-9a-f]*)_(${signatureForm})$`);

export class TokenRing {
  readonly #signatures: Signatures;
  readonly #verified = new Map<string, UserToken>();

  constructor(signatures: Signatures) {
    this.#signatures = signatures;
  }

  issue(token: UserToken): string {
    const statement = statementOf(token);
    return `qru_${statement}_${this.#signatures.sign(messageOf(statement))}`;
  }

  /** Null: the text is no token, or not one that this service signed. Good tokens are remembered. */
  verify(text: string): UserToken | null {
    const verified = this.#verified.get(text);
    if (verified !== undefined) return verified;
    const [, tenant, letter, authRevision, hex, signature] = tokenPattern.exec(text) ?? [];
    if (tenant === undefined || hex === undefined || signature === undefined) return null;
    const name = textOf(Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)));
    if (name === null) return null;
    const use = letter === letters.alone ? 'alone' : 'beside';
    const token: UserToken = { tenant, use, authRevision: Number(authRevision), name };
    if (!this.#signatures.verify(messageOf(statementOf(token)), signature)) return null;
    if (this.#verified.size >= verifiedTokensCachedMax) this.#verified.clear();
    this.#verified.set(text, token);
    return token;
  }
}

function statementOf({ tenant, use, authRevision, name }: UserToken): string {
  const hex = Array.from(utf8(name), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${tenant}_${letters[use]}_${authRevision}_${hex}`;
}

function messageOf(statement: string): string {
  return `quorate token v1 ${statement}`;
}
