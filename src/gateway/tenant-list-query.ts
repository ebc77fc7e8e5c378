// The query of GET /v1/tenants: which tenants, in which order, and from where on.

import type { Failure } from '../api/errors/errors.ts';
import { isLabelKey, isLabelValue, isPlanName } from '../api/v1/tenants.ts';
import { labelsMax, planNameCharactersMax, tenantNameCharactersMax, tenantsPageMax } from '../limits.ts';
import {
  type ListedState,
  listedStates,
  type TenantFilter,
  type TenantOrder,
  tenantOrders,
  type TenantPlace,
} from '../tenants/tenant-list.ts';
import type { Tenant } from '../tenants/directory.ts';

export type TenantListQuery = {
  readonly filter: TenantFilter;
  readonly after: TenantPlace | null;
  readonly limit: number;
};

type Parsed = TenantListQuery | { readonly kind: 'bad'; readonly failure: Failure };

const known = ['limit', 'cursor', 'order', 'name', 'label', 'state', 'plan'];
const idForm = /^[a-z0-9]{1,32}$/;

export function parseTenantList(query: URLSearchParams): Parsed {
  for (const name of query.keys()) {
    if (!known.includes(name)) return bad(`unknown parameter "${name}"; known are ${known.join(', ')}`);
    if (name !== 'label' && query.getAll(name).length > 1) return bad(`${name} is given twice`);
  }
  const limitText = query.get('limit') ?? String(tenantsPageMax);
  const limit = /^\d{1,9}$/.test(limitText) ? Number(limitText) : 0;
  if (limit < 1 || limit > tenantsPageMax) return bad(`limit must be from 1 to ${tenantsPageMax}`);
  const orderText = query.get('order') ?? 'id';
  const order = tenantOrders.find((each) => each === orderText);
  if (order === undefined) return bad(`order must be one of ${tenantOrders.join(', ')}`);
  const stateText = query.get('state');
  const state: ListedState | null = listedStates.find((each) => each === stateText) ?? null;
  if (stateText !== null && state === null) return bad(`state must be one of ${listedStates.join(', ')}`);
  const name = query.get('name') ?? '';
  if (name.length > tenantNameCharactersMax || /[^a-z0-9-]/.test(name)) {
    return bad(`name must be a part of a name: at most ${tenantNameCharactersMax} of a to z, 0 to 9 and "-"`);
  }
  const plan = query.get('plan');
  if (plan !== null && !isPlanName(plan)) {
    return bad(`plan must be the name of a plan: 1 to ${planNameCharactersMax} of a to z, 0 to 9 and "-"`);
  }
  const labels = query.getAll('label').map(labelOf);
  if (labels.length > labelsMax) {
    return bad(`label is given ${labels.length} times; a tenant has at most ${labelsMax} labels`);
  }
  for (const { key, value } of labels) {
    if (!isLabelKey(key) || (value !== null && !isLabelValue(value))) {
      return bad('label must be the key of a label, or key=value; it may be given several times');
    }
  }
  const cursor = query.get('cursor') ?? '';
  const after = cursor === '' ? null : placeOf(cursor, order);
  if (after === undefined) return bad('cursor is not one that a list in this order answered');
  return { filter: { order, name, state, plan, labels }, after, limit };
}

/** The cursor of a page that ends with this tenant. */
export function cursorAfter(tenant: Tenant, order: TenantOrder): string {
  if (order === 'id') return tenant.id;
  return `${order}.${order === 'name' ? tenant.name : tenant.createdAtMs}.${tenant.id}`;
}

/** undefined: it is no cursor of a list in this order. */
function placeOf(cursor: string, order: TenantOrder): TenantPlace | undefined {
  if (order === 'id') return idForm.test(cursor) ? { value: cursor, id: cursor } : undefined;
  const [told, value = '', id = '', ...more] = cursor.split('.');
  if (told !== order || more.length > 0 || !idForm.test(id)) return undefined;
  if (order === 'name') return /^[a-z0-9-]{1,63}$/.test(value) ? { value, id } : undefined;
  return /^\d{1,15}$/.test(value) ? { value: Number(value), id } : undefined;
}

function labelOf(text: string): { readonly key: string; readonly value: string | null } {
  const at = text.indexOf('=');
  return at < 0 ? { key: text, value: null } : { key: text.slice(0, at), value: text.slice(at + 1) };
}

function bad(detail: string): Parsed {
  return { kind: 'bad', failure: { kind: 'badRequest', detail } };
}
