// The directory's tables of what replicas told of themselves: what they served, by hour and in all, and how their
// groups are. Groups write here, at times; operators read here, and wake nobody.

import type { ToldReport, ToldState } from '../model/told-report.ts';
import { answered } from './answered.ts';

/** A sum over the tenants of a plan. */
export type Sum = { readonly plan: string; readonly name: string; readonly value: number };

/** What stands in the directory of one tenant, and of one of its replicas. */
export type Seen = {
  readonly tenant: string;
  readonly name: string;
  readonly plan: string;
  readonly replica: number;
  readonly atMs: number;
  readonly leads: boolean;
  readonly state: ToldState;
  readonly troubles: readonly string[];
};

/** Of the groups of a plan, as their leaders told last. Null in place of a number: no leader has told. */
export type PlanGauges = {
  readonly plan: string;
  readonly tenants: number;
  readonly suspended: number;
  readonly deleted: number;
  readonly told: number;
  readonly storeBytes: number | null;
  readonly logBytes: number | null;
  readonly quotaBytes: number | null;
  readonly alarms: number | null;
  readonly behind: number | null;
  readonly lag: number | null;
  readonly oldestMs: number | null;
};
/** Of all replicas of a plan. */
export type PlanOpen = {
  readonly plan: string;
  readonly sessions: number;
  readonly sockets: number;
  readonly watches: number;
};

type SeenRow = {
  tenant: string;
  name: string;
  plan: string;
  replica: number;
  at_ms: number;
  leads: number;
  state: string;
  troubles: string | null;
};

/** Reports of replicas that left their group say nothing of it any more. */
const ofMembers = `reports r JOIN tenants t ON t.id = r.tenant_id
  JOIN replicas m ON m.tenant_id = r.tenant_id AND m.number = r.replica`;
const selectSeen = `SELECT t.id AS tenant, t.name, t.plan, r.replica, r.at_ms, r.leads, r.state, r.troubles
  FROM ${ofMembers}`;

export class Reports {
  readonly #database: D1DatabaseSession;

  constructor(database: D1Database) {
    this.#database = database.withSession('first-primary');
  }

  /** Stores what a replica told. The same may be told again, and in any order. Of a tenant that is gone nothing is. */
  async tell(tenant: string, { replica, atMs, leads, state, troubles, totals, hours }: ToldReport): Promise<void> {
    const report = this.#database
      .prepare(
        `INSERT INTO reports (tenant_id, replica, at_ms, leads, state, totals, troubles)
          SELECT id, ?2, ?3, ?4, ?5, ?6, ?7 FROM tenants WHERE id = ?1
          ON CONFLICT (tenant_id, replica) DO UPDATE SET at_ms = excluded.at_ms, leads = excluded.leads,
            state = excluded.state, totals = excluded.totals, troubles = excluded.troubles
            WHERE excluded.at_ms >= reports.at_ms`,
      )
      .bind(
        tenant,
        replica,
        atMs,
        leads ? 1 : 0,
        JSON.stringify(state),
        JSON.stringify(totals),
        troubles.length === 0 ? null : troubles.join(' '),
      );
    // What is told of an hour only becomes more, so of two the later one counts.
    const used = this.#database
      .prepare(
        `INSERT INTO usage (tenant_id, hour, replica, plan, counts)
          SELECT tenants.id, json_extract(value, '$.hour'), ?2, plan, json_extract(value, '$.counts')
          FROM tenants, json_each(?3) WHERE tenants.id = ?1
          ON CONFLICT (hour, tenant_id, replica) DO UPDATE SET counts = excluded.counts, plan = excluded.plan`,
      )
      .bind(tenant, replica, JSON.stringify(hours));
    await answered(this.#database.batch([report, used]));
  }

  /** By plan, also of tenants that are gone; or of one tenant. */
  async sums(tenant: string | null): Promise<Sum[]> {
    const carried = tenant === null ? 'UNION ALL SELECT plan, name, value FROM carried' : '';
    const sql = `SELECT plan, name, sum(value) AS value FROM
      (SELECT t.plan AS plan, j.key AS name, j.value AS value
        FROM reports r JOIN tenants t ON t.id = r.tenant_id, json_each(r.totals) j WHERE ?1 IS NULL OR t.id = ?1
        ${carried})
      GROUP BY 1, 2 ORDER BY 2, 1`;
    return (await answered(this.#database.prepare(sql).bind(tenant).all<Sum>())).results;
  }

  /** What the leaders told last, by plan; or of one tenant. */
  async gauges(tenant: string | null): Promise<PlanGauges[]> {
    const sql = `WITH led AS (SELECT r.tenant_id AS id, max(r.at_ms) AS at_ms, r.state AS state
        FROM ${ofMembers} WHERE r.leads = 1 AND (?1 IS NULL OR r.tenant_id = ?1) GROUP BY r.tenant_id)
      SELECT plan, count(*) AS tenants, sum(suspended) AS suspended, sum(wipe_at_ms IS NOT NULL) AS deleted,
        count(led.id) AS told, sum(led.state ->> 'storeBytes') AS storeBytes,
        sum(led.state ->> 'logBytes') AS logBytes, sum(led.state ->> 'quotaBytes') AS quotaBytes,
        sum(json_array_length(led.state, '$.alarms')) AS alarms,
        sum(json_array_length(led.state, '$.behind')) AS behind,
        max(led.state ->> 'lag') AS lag, min(led.at_ms) AS oldestMs
      FROM tenants t LEFT JOIN led ON led.id = t.id WHERE ?1 IS NULL OR t.id = ?1 GROUP BY plan ORDER BY plan`;
    return (await answered(this.#database.prepare(sql).bind(tenant).all<PlanGauges>())).results;
  }

  async open(tenant: string | null): Promise<PlanOpen[]> {
    const sql = `SELECT t.plan AS plan, sum(r.state ->> 'sessions') AS sessions, sum(r.state ->> 'sockets') AS sockets,
        sum(r.state ->> 'watches') AS watches
      FROM ${ofMembers} WHERE ?1 IS NULL OR t.id = ?1 GROUP BY t.plan ORDER BY t.plan`;
    return (await answered(this.#database.prepare(sql).bind(tenant).all<PlanOpen>())).results;
  }

  /**
   * All replicas of the tenants in trouble after `after`, of which at most `limit` are looked at. `last` null: no
   * tenant comes after them.
   */
  async troubled(
    after: string,
    limit: number,
  ): Promise<{ readonly seen: readonly Seen[]; readonly last: string | null }> {
    const ids = `SELECT DISTINCT tenant_id FROM reports WHERE troubles IS NOT NULL AND tenant_id > ?1
      ORDER BY tenant_id LIMIT ?2`;
    const [named, rows] = await answered(
      this.#database.batch<{ tenant_id: string } & SeenRow>([
        this.#database.prepare(ids).bind(after, limit),
        this.#database.prepare(`${selectSeen} WHERE t.id IN (${ids}) ORDER BY t.id, r.replica`).bind(after, limit),
      ]),
    );
    const asked = named?.results ?? [];
    const last = asked.length < limit ? null : (asked.at(-1)?.tenant_id ?? null);
    return { seen: (rows?.results ?? []).map(seenOf), last };
  }
}

/**
 * What a tenant has counted stays with its plan where it takes another plan (of that version of its terms), or goes
 * (`toPlan` null): so the sums of a plan never fall.
 */
export function carriedCounts(
  database: D1DatabaseSession,
  { id, toPlan, version }: { readonly id: string; readonly toPlan: string | null; readonly version: number | null },
): D1PreparedStatement[] {
  const carry = (plan: string, sign: '' | '-'): D1PreparedStatement =>
    database
      .prepare(
        `INSERT INTO carried (plan, name, value)
          SELECT ${plan}, j.key, ${sign}sum(j.value)
          FROM tenants t JOIN reports r ON r.tenant_id = t.id, json_each(r.totals) j
          WHERE t.id = ?1 AND t.plan IS NOT ?2 AND (?3 IS NULL OR t.terms_version = ?3) GROUP BY j.key
          ON CONFLICT (plan, name) DO UPDATE SET value = value + excluded.value`,
      )
      .bind(id, toPlan, version);
  return toPlan === null ? [carry('t.plan', '')] : [carry('t.plan', ''), carry('?2', '-')];
}

function seenOf(row: SeenRow): Seen {
  const { tenant, name, plan, replica, at_ms: atMs } = row;
  const state = JSON.parse(row.state) as ToldState;
  return { tenant, name, plan, replica, atMs, leads: row.leads === 1, state, troubles: row.troubles?.split(' ') ?? [] };
}
