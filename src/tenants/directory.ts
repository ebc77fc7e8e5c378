// The directory of tenants in D1: names, states, placement, audit. While D1 is down nothing can be provisioned, and
// every store goes on, because no call on the data of a store comes here.

import { provisioningMs } from '../limits.ts';
import type { LocationHint } from '../model/locations.ts';
import { answered, DirectoryUnavailable } from './answered.ts';
import { isFirstPlan, planTerms, type Terms } from './plans.ts';
import { carriedCounts } from './reports.ts';
import { type TenantFilter, tenantListClause, type TenantPlace } from './tenant-list.ts';

export { answered, DirectoryUnavailable };

export type TenantState = 'provisioning' | 'ready' | 'deleting';
export type Labels = Readonly<Record<string, string>>;
export type PlacedReplica = { readonly number: number; readonly location: LocationHint };
export type Tenant = {
  readonly id: string;
  readonly name: string;
  readonly state: TenantState;
  readonly isSuspended: boolean;
  /** When it is wiped, or when its wiping goes on; null: it is not deleted. */
  readonly wipeAtMs: number | null;
  /** Its group was told so, and has refused its callers since. */
  readonly isToldOfWipe: boolean;
  readonly labels: Labels;
  readonly plan: string;
  readonly planTerms: Terms;
  /** What the operator has set for it alone: it goes before its plan. */
  readonly terms: Terms;
  /** Counts the changes of what counts for it. */
  readonly termsVersion: number;
  readonly createdAtMs: number;
  readonly replicas: readonly PlacedReplica[];
  /** The number of the next replica, as far as the group has told. Every lower number may be that of an object. */
  readonly nextNumber: number;
};
/** What the directory is told of a tenant that is being made. */
export type NewRow = Pick<Tenant, 'id' | 'name' | 'labels' | 'plan' | 'createdAtMs' | 'replicas' | 'nextNumber'>;
export type Added =
  | { readonly kind: 'added'; readonly planTerms: Terms }
  | { readonly kind: 'nameTaken' }
  | { readonly kind: 'planNotFound' };
/** What a group tells of its members. */
export type ToldConfiguration = {
  readonly replicas: readonly PlacedReplica[];
  /** The index of the configuration in the group's log. A lower index never replaces a higher one. */
  readonly configuredAt: number;
  readonly nextNumber: number;
};
export type Audit = {
  readonly atMs: number;
  readonly actor: string;
  readonly action:
    | 'tenant.create'
    | 'tenant.change'
    | 'tenant.rename'
    | 'tenant.label'
    | 'tenant.terms'
    | 'plan.set'
    | 'plan.remove'
    | 'tenant.suspend'
    | 'tenant.resume'
    /** It refuses from then on, and can be taken back until it is wiped. */
    | 'tenant.delete'
    | 'tenant.restore'
    | 'tenant.wipe'
    | 'tenant.provisioning-failed'
    | 'replica.add'
    | 'replica.remove'
    /** One of etcd's calls on the group: its path and its body. */
    | 'group.change'
    | 'operator.create'
    | 'operator.revoke'
    | 'key.create'
    | 'key.rotate'
    | 'key.revoke';
  readonly tenantId: string;
  readonly detail: string;
  /** Absent: it was done. Otherwise the name of the problem that was answered. */
  readonly refused?: string;
};
export type AuditEntry = Omit<Audit, 'action' | 'refused'> & {
  readonly id: number;
  readonly action: string;
  readonly refused: string | null;
};
/** null: any. `before`: the id of an entry; only older ones are meant. */
export type AuditFilter = {
  readonly tenant: string | null;
  readonly actor: string | null;
  readonly sinceMs: number | null;
  readonly before: number | null;
  readonly limit: number;
};

/** The newest file of migrations/ that this code needs. Wrangler and the server keep the names of those applied. */
export const newestMigration = '0010_reports.sql';

type TenantRow = {
  id: string;
  name: string;
  state: TenantState;
  created_at_ms: number;
  next_number: number;
  labels: string;
  plan: string;
  /** Null: the plan has no row. */
  plan_terms: string | null;
  terms: string;
  terms_version: number;
  suspended: number;
  wipe_at_ms: number | null;
  wipe_told: number;
  replicas: string;
};

/** The value of `wipe_told` where the group was told and may have served its callers since. */
const mayServeSince = 2;

const selectTenants = `SELECT id, name, state, created_at_ms, next_number, labels, terms, suspended, wipe_at_ms,
  wipe_told, plan, (SELECT terms FROM plans WHERE plans.name = plan) AS plan_terms, terms_version, (SELECT json_group_array(json_object('number', number, 'location', location)) FROM
    (SELECT number, location FROM replicas WHERE tenant_id = tenants.id ORDER BY number)) AS replicas
  FROM tenants`;

export class Directory {
  readonly #database: D1DatabaseSession;

  constructor(database: D1Database) {
    this.#database = database.withSession('first-primary');
  }

  /** False: a migration that this code needs was not applied. */
  async isMigrated(): Promise<boolean> {
    const statement = this.#database.prepare('SELECT 1 AS applied FROM d1_migrations WHERE name = ?');
    try {
      return (await answered(statement.bind(newestMigration).first('applied'))) !== null;
    } catch (error) {
      if (error instanceof DirectoryUnavailable && error.hasNoTables) return false;
      throw error;
    }
  }

  /**
   * Adds a tenant that is being made, and says what its plan sets: all in one transaction, so that a plan which is
   * being removed has no tenant. If its making breaks off, the schedule wipes it.
   */
  async add(tenant: NewRow): Promise<Added> {
    const { plan } = tenant;
    const storedTerms = this.#database.prepare('SELECT terms FROM plans WHERE name = ?').bind(plan);
    const insertTenant = this.#database
      .prepare(
        `INSERT INTO tenants (id, name, state, created_at_ms, next_number, labels, plan, tell_at_ms, wipe_at_ms, wipe_told)
          SELECT ?1, ?2, 'provisioning', ?3, ?4, ?5, ?6, ?3, ?8, 1
            WHERE ?7 OR EXISTS (SELECT 1 FROM plans WHERE plans.name = ?6)`,
      )
      .bind(
        tenant.id,
        tenant.name,
        tenant.createdAtMs,
        tenant.nextNumber,
        JSON.stringify(tenant.labels),
        plan,
        isFirstPlan(plan) ? 1 : 0,
        tenant.createdAtMs + provisioningMs,
      );
    const insertReplicas = this.#database
      .prepare(
        `INSERT INTO replicas (tenant_id, number, location)
          SELECT ?1, value ->> 'number', value ->> 'location' FROM json_each(?2)
            WHERE EXISTS (SELECT 1 FROM tenants WHERE id = ?1)`,
      )
      .bind(tenant.id, JSON.stringify(tenant.replicas));
    let stored: string | null = null;
    let isAdded = false;
    const isNameFree = await this.#unlessNameTaken(async () => {
      const [terms, added] = await this.#database.batch<{ terms: string }>([storedTerms, insertTenant, insertReplicas]);
      stored = terms?.results[0]?.terms ?? null;
      isAdded = (added?.meta.changes ?? 0) > 0;
    });
    if (!isNameFree) return { kind: 'nameTaken' };
    return isAdded ? { kind: 'added', planTerms: planTerms(plan, stored) } : { kind: 'planNotFound' };
  }

  async byId(id: string): Promise<Tenant | null> {
    const statement = this.#database.prepare(`${selectTenants} WHERE id = ?`).bind(id);
    return tenantOf(await answered(statement.first<TenantRow>()));
  }

  /**
   * An empty list: the directory does not know the tenant. Null: the directory does not answer, so nothing is known of
   * the tenant.
   */
  async placedReplicas(id: string): Promise<readonly PlacedReplica[] | null> {
    try {
      return (await this.byId(id))?.replicas ?? [];
    } catch (error) {
      if (!(error instanceof DirectoryUnavailable)) throw error;
      return null;
    }
  }

  async byName(name: string): Promise<Tenant | null> {
    const statement = this.#database.prepare(`${selectTenants} WHERE name = ?`).bind(name);
    return tenantOf(await answered(statement.first<TenantRow>()));
  }

  /** Tenants in the order that the filter names, from after `after` on. */
  async list(filter: TenantFilter, after: TenantPlace | null, limit: number): Promise<Tenant[]> {
    const { sql, parameters } = tenantListClause(filter, after, limit);
    const statement = this.#database.prepare(`${selectTenants} ${sql}`).bind(...parameters);
    const { results } = await answered(statement.all<TenantRow>());
    return results.map((row) => tenantOf(row)).filter((tenant) => tenant !== null);
  }

  /**
   * Its replicas are made, and its group knows the terms of version `toldVersion` (null: it was told of none). The
   * audit says so from here on. False: the tenant is not being provisioned any more, because somebody is deleting it.
   */
  async setReady(id: string, toldVersion: number | null, audit: Audit): Promise<boolean> {
    const isReady = "FROM tenants WHERE id = ? AND state = 'provisioning'";
    const record = this.#database
      .prepare(`INSERT INTO audit (at_ms, actor, action, tenant_id, detail) SELECT ?, ?, ?, ?, ? ${isReady}`)
      .bind(audit.atMs, audit.actor, audit.action, audit.tenantId, audit.detail, id);
    const ready = this.#database
      .prepare(
        `UPDATE tenants SET state = 'ready', wipe_at_ms = NULL, wipe_told = 0,
            tell_at_ms = iif(terms_version = ?2, NULL, tell_at_ms)
          WHERE id = ?1 AND state = 'provisioning'`,
      )
      .bind(id, toldVersion);
    const [, changed] = await answered(this.#database.batch([record, ready]));
    return (changed?.meta.changes ?? 0) > 0;
  }

  /**
   * The tenant is being wiped from here on, and should that break off, the schedule goes on with it at `retryAtMs`.
   * Returns the next number of a replica from then on, which the group may still raise. Null: it was to be wiped only
   * if that is due at `dueAtMs`, and it is not, or somebody else has just begun.
   */
  async setDeleting(
    id: string,
    { retryAtMs, dueAtMs = null }: { readonly retryAtMs: number; readonly dueAtMs?: number | null },
  ): Promise<number | null> {
    const statement = this.#database.prepare(
      `UPDATE tenants SET state = 'deleting', wipe_at_ms = ?2, wipe_told = 1
        WHERE id = ?1 AND (?3 IS NULL OR (wipe_told = 1 AND wipe_at_ms <= ?3)) RETURNING next_number`,
    );
    const nextNumber = await answered(statement.bind(id, retryAtMs, dueAtMs).first<number>('next_number'));
    return nextNumber ?? (dueAtMs === null ? 1 : null);
  }

  /**
   * Says when the tenant is wiped, or that it is not to be. Its group is told after this, and until that is known
   * (`setWipeTold`) nobody wipes it. False: it is being wiped.
   */
  async setWipeAt(id: string, wipeAtMs: number | null): Promise<boolean> {
    const statement = this.#database.prepare(
      "UPDATE tenants SET wipe_at_ms = ?, wipe_told = 0 WHERE id = ? AND state = 'ready'",
    );
    return (await answered(statement.bind(wipeAtMs, id).run())).meta.changes > 0;
  }

  /** The group refuses the tenant's callers until `wipeAtMs`. False: another time has been set since. */
  async setWipeTold(id: string, wipeAtMs: number): Promise<boolean> {
    const statement = this.#database.prepare(
      "UPDATE tenants SET wipe_told = 1 WHERE id = ? AND wipe_at_ms = ? AND state = 'ready'",
    );
    return (await answered(statement.bind(id, wipeAtMs).run())).meta.changes > 0;
  }

  /** The group did not take what it was told after `setWipeAt`: what was said before counts, as far as it did. */
  async takeBackWipeAt(
    id: string,
    { wipeAtMs, formerMs }: { readonly wipeAtMs: number; readonly formerMs: number | null },
  ): Promise<void> {
    const statement = this.#database.prepare(
      `UPDATE tenants SET wipe_at_ms = ?3, wipe_told = iif(?3 IS NULL, 0, ${mayServeSince})
        WHERE id = ?1 AND wipe_at_ms = ?2 AND wipe_told = 0 AND state = 'ready'`,
    );
    await answered(statement.bind(id, wipeAtMs, formerMs).run());
  }

  /**
   * `mayServe`: the group may serve its callers, so nobody wipes it before it was told anew (`setWipeTold`). False:
   * another time than `formerMs` has been set, or it is being wiped.
   */
  async postponeWipe(
    id: string,
    {
      formerMs,
      wipeAtMs,
      mayServe,
    }: { readonly formerMs: number; readonly wipeAtMs: number; readonly mayServe: boolean },
  ): Promise<boolean> {
    const statement = this.#database.prepare(
      `UPDATE tenants SET wipe_at_ms = ?3, wipe_told = max(wipe_told, ?4)
        WHERE id = ?1 AND wipe_at_ms = ?2 AND wipe_told > 0 AND state = 'ready'`,
    );
    const bound = statement.bind(id, formerMs, wipeAtMs, mayServe ? mayServeSince : 0);
    return (await answered(bound.run())).meta.changes > 0;
  }

  /**
   * Called before the level of the group may change: if the tenant is deleted, the group may serve its callers from
   * here on. False: the tenant is being wiped.
   */
  async setMayServe(id: string): Promise<boolean> {
    const statement = this.#database.prepare(
      `UPDATE tenants SET wipe_told = iif(wipe_told = 0, 0, ${mayServeSince}) WHERE id = ? AND state <> 'deleting'`,
    );
    return (await answered(statement.bind(id).run())).meta.changes > 0;
  }

  /** The tenants whose wiping is due, the longest due first, also those whose groups are to be told anew before. */
  async dueForWipe(nowMs: number, limit: number): Promise<Tenant[]> {
    const statement = this.#database.prepare(
      `${selectTenants} WHERE wipe_told > 0 AND wipe_at_ms <= ? ORDER BY wipe_at_ms LIMIT ?`,
    );
    const { results } = await answered(statement.bind(nowMs, limit).all<TenantRow>());
    return results.map((row) => tenantOf(row)).filter((tenant) => tenant !== null);
  }

  async raiseNextNumber(id: string, nextNumber: number): Promise<void> {
    await answered(this.#raiseNextNumber(id, nextNumber).run());
  }

  /** False: another tenant has the name. */
  async rename(id: string, name: string): Promise<boolean> {
    return this.#unlessNameTaken(() =>
      this.#database.prepare('UPDATE tenants SET name = ? WHERE id = ?').bind(name, id).run(),
    );
  }

  async setLabels(id: string, labels: Labels): Promise<void> {
    const statement = this.#database.prepare('UPDATE tenants SET labels = ? WHERE id = ?');
    await answered(statement.bind(JSON.stringify(labels), id).run());
  }

  /** From `nowMs` on its group is to be told. False: they have changed since `version`. */
  async setTerms(
    id: string,
    {
      plan,
      terms,
      version,
      nowMs,
    }: Pick<Tenant, 'plan' | 'terms'> & { readonly version: number; readonly nowMs: number },
  ): Promise<boolean> {
    const statement = this.#database.prepare(
      `UPDATE tenants SET plan = ?3, terms = ?4, terms_version = ?2 + 1, tell_at_ms = ?5
        WHERE id = ?1 AND terms_version = ?2`,
    );
    const bound = statement.bind(id, version, plan, JSON.stringify(terms), nowMs);
    const carried = carriedCounts(this.#database, { id, toPlan: plan, version });
    return ((await answered(this.#database.batch([...carried, bound]))).at(-1)?.meta.changes ?? 0) > 0;
  }

  /** The group knows the terms of that version. False: others are to be told by now. */
  async setTermsTold(id: string, version: number): Promise<boolean> {
    return this.#setTellAt(id, version, null);
  }

  /** The group is told again from `tellAtMs` on, unless the terms have changed since `version`. */
  async postponeTelling(id: string, version: number, tellAtMs: number): Promise<void> {
    await this.#setTellAt(id, version, tellAtMs);
  }

  async #setTellAt(id: string, version: number, tellAtMs: number | null): Promise<boolean> {
    const statement = this.#database.prepare('UPDATE tenants SET tell_at_ms = ?3 WHERE id = ?1 AND terms_version = ?2');
    return (await answered(statement.bind(id, version, tellAtMs).run())).meta.changes > 0;
  }

  /** The tenants whose groups are to be told of their terms, the longest due first. `plan` null: of every plan. */
  async dueForTelling(
    nowMs: number,
    { plan, limit }: { readonly plan: string | null; readonly limit: number },
  ): Promise<Tenant[]> {
    const statement = this.#database.prepare(
      `${selectTenants} WHERE tell_at_ms <= ?1 AND state = 'ready' AND (?2 IS NULL OR plan = ?2)
        ORDER BY tell_at_ms LIMIT ?3`,
    );
    const { results } = await answered(statement.bind(nowMs, plan, limit).all<TenantRow>());
    return results.map((row) => tenantOf(row)).filter((tenant) => tenant !== null);
  }

  /** Called once the group knows it. */
  async setSuspended(id: string, isSuspended: boolean): Promise<void> {
    const statement = this.#database.prepare('UPDATE tenants SET suspended = ? WHERE id = ?');
    await answered(statement.bind(isSuspended ? 1 : 0, id).run());
  }

  /**
   * Stores what the group told of its members, if what is stored is older. The same may be told again, and in any
   * order.
   */
  async configured(id: string, { replicas, configuredAt, nextNumber }: ToldConfiguration): Promise<void> {
    const isNewer = 'EXISTS (SELECT 1 FROM tenants WHERE id = ?1 AND configured_at < ?2)';
    const clear = this.#database
      .prepare(`DELETE FROM replicas WHERE tenant_id = ?1 AND ${isNewer}`)
      .bind(id, configuredAt);
    const inserts = replicas.map(({ number, location }) =>
      this.#database
        .prepare(`INSERT INTO replicas (tenant_id, number, location) SELECT ?1, ?3, ?4 WHERE ${isNewer}`)
        .bind(id, configuredAt, number, location),
    );
    const mark = this.#database
      .prepare('UPDATE tenants SET configured_at = ?2 WHERE id = ?1 AND configured_at < ?2')
      .bind(id, configuredAt);
    await answered(this.#database.batch([this.#raiseNextNumber(id, nextNumber), clear, ...inserts, mark]));
  }

  #raiseNextNumber(id: string, nextNumber: number): D1PreparedStatement {
    return this.#database
      .prepare('UPDATE tenants SET next_number = max(next_number, ?2) WHERE id = ?1')
      .bind(id, nextNumber);
  }

  async remove(id: string): Promise<void> {
    await answered(
      this.#database.batch([
        ...carriedCounts(this.#database, { id, toPlan: null, version: null }),
        this.#database.prepare('DELETE FROM reports WHERE tenant_id = ?').bind(id),
        this.#database.prepare('DELETE FROM replicas WHERE tenant_id = ?').bind(id),
        this.#database.prepare('DELETE FROM tenants WHERE id = ?').bind(id),
      ]),
    );
  }

  async record(audit: Audit): Promise<void> {
    const statement = this.#database.prepare(
      'INSERT INTO audit (at_ms, actor, action, tenant_id, detail, refused) VALUES (?, ?, ?, ?, ?, ?)',
    );
    const { atMs, actor, action, tenantId, detail, refused = null } = audit;
    await answered(statement.bind(atMs, actor, action, tenantId, detail, refused).run());
  }

  /** The newest comes first. */
  async audit({ tenant, actor, sinceMs, before, limit }: AuditFilter): Promise<AuditEntry[]> {
    const conditions: string[] = [];
    const parameters: (string | number)[] = [];
    const add = (condition: string, value: string | number | null): void => {
      if (value === null) return;
      conditions.push(condition);
      parameters.push(value);
    };
    add('tenant_id = ?', tenant);
    add('actor = ?', actor);
    add('at_ms >= ?', sinceMs);
    add('id < ?', before);
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')} `;
    const sql = `SELECT id, at_ms AS atMs, actor, action, tenant_id AS tenantId, detail, refused
      FROM audit ${where}ORDER BY id DESC LIMIT ?`;
    const statement = this.#database.prepare(sql).bind(...parameters, limit);
    return (await answered(statement.all<AuditEntry>())).results;
  }

  async #unlessNameTaken(write: () => Promise<unknown>): Promise<boolean> {
    try {
      await write();
      return true;
    } catch (error) {
      if (error instanceof Error && error.message.includes('UNIQUE constraint failed: tenants.name')) return false;
      throw new DirectoryUnavailable('the directory did not take a write', { cause: error });
    }
  }
}

function tenantOf(row: TenantRow | null): Tenant | null {
  if (row === null) return null;
  const replicas = JSON.parse(row.replicas) as PlacedReplica[];
  const labels = JSON.parse(row.labels) as Labels;
  const terms = JSON.parse(row.terms) as Terms;
  const { plan, terms_version: termsVersion } = row;
  const ofPlan = planTerms(plan, row.plan_terms);
  const { id, name, state, created_at_ms: createdAtMs, next_number: nextNumber } = row;
  const { wipe_at_ms: wipeAtMs } = row;
  const [isSuspended, isToldOfWipe] = [row.suspended === 1, row.wipe_told === 1];
  return {
    id,
    name,
    state,
    isSuspended,
    wipeAtMs,
    isToldOfWipe,
    labels,
    plan,
    planTerms: ofPlan,
    terms,
    termsVersion,
    createdAtMs,
    replicas,
    nextNumber,
  };
}
