// Which tenants a page of the list has, as a statement of SQL. A cursor holds the place of the last tenant of the page
// before in the order of the list, so tenants that come and go move nobody from one page to another.

export const tenantOrders = ['id', 'name', 'created_at'] as const;
export type TenantOrder = (typeof tenantOrders)[number];
export const listedStates = ['provisioning', 'ready', 'suspended', 'deleted', 'deleting'] as const;
export type ListedState = (typeof listedStates)[number];

export type TenantFilter = {
  readonly order: TenantOrder;
  /** A part of the name; empty: any name. */
  readonly name: string;
  readonly state: ListedState | null;
  /** Null: any plan. */
  readonly plan: string | null;
  /** `value` null: whatever the label's value is. */
  readonly labels: readonly { readonly key: string; readonly value: string | null }[];
};

/** The place of a tenant in the order of the list. */
export type TenantPlace = { readonly value: string | number; readonly id: string };

const orderColumn: Readonly<Record<TenantOrder, string>> = { id: 'id', name: 'name', created_at: 'created_at_ms' };

/** A tenant that is both deleted and suspended is listed as deleted. */
const ofState: Readonly<Record<ListedState, string>> = {
  provisioning: "state = 'provisioning'",
  ready: "state = 'ready' AND suspended = 0 AND wipe_at_ms IS NULL",
  suspended: "state = 'ready' AND suspended = 1 AND wipe_at_ms IS NULL",
  deleted: "state = 'ready' AND wipe_at_ms IS NOT NULL",
  deleting: "state = 'deleting'",
};

/** What follows `SELECT ... FROM tenants`, and its parameters. `after` null: from the first tenant on. */
export function tenantListClause(
  filter: TenantFilter,
  after: TenantPlace | null,
  limit: number,
): { readonly sql: string; readonly parameters: readonly (string | number)[] } {
  const conditions: string[] = [];
  const parameters: (string | number)[] = [];
  const column = orderColumn[filter.order];
  if (after !== null) {
    conditions.push(`(${column}, id) > (?, ?)`);
    parameters.push(after.value, after.id);
  }
  if (filter.name !== '') {
    conditions.push('instr(name, ?) > 0');
    parameters.push(filter.name);
  }
  if (filter.state !== null) conditions.push(ofState[filter.state]);
  if (filter.plan !== null) {
    conditions.push('plan = ?');
    parameters.push(filter.plan);
  }
  for (const { key, value } of filter.labels) {
    conditions.push(value === null ? 'json_type(labels, ?) IS NOT NULL' : 'json_extract(labels, ?) = ?');
    // A label's key has no quotation mark.
    parameters.push(`$."${key}"`);
    if (value !== null) parameters.push(value);
  }
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')} `;
  return { sql: `${where}ORDER BY ${column}, id LIMIT ?`, parameters: [...parameters, limit] };
}
