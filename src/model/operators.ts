// The operators of the service, and what their roles let them do.

/** Each role may do what those before it may. */
export const operatorRoles = ['read', 'provision', 'all'] as const;
export type OperatorRole = (typeof operatorRoles)[number];

export type Operator = {
  readonly id: string;
  readonly name: string;
  readonly role: OperatorRole;
  readonly createdAtMs: number;
  /** null: its token does not expire. */
  readonly expiresAtMs: number | null;
};

export function mayDo(role: OperatorRole, need: OperatorRole): boolean {
  return operatorRoles.indexOf(role) >= operatorRoles.indexOf(need);
}
