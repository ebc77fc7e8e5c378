// The plans that operators have changed or made, as rows of the directory. Who changes one says in the same transaction
// that all of its tenants are to be told.

import { answered } from './directory.ts';
import { firstPlanNames, isFirstPlan, type Plan, planTerms } from './plans.ts';

type PlanRow = { name: string; terms: string };

export class Plans {
  readonly #database: D1DatabaseSession;

  constructor(database: D1Database) {
    this.#database = database.withSession('first-primary');
  }

  /** In the order of their names. */
  async list(): Promise<Plan[]> {
    const rows = (await answered(this.#database.prepare('SELECT name, terms FROM plans').all<PlanRow>())).results;
    const stored = new Map(rows.map(({ name, terms }) => [name, terms]));
    const names = [...new Set([...firstPlanNames, ...stored.keys()])].toSorted();
    return names.map((name) => ({ name, terms: planTerms(name, stored.get(name) ?? null) }));
  }

  /** Null: there is no such plan. */
  async byName(name: string): Promise<Plan | null> {
    const statement = this.#database.prepare('SELECT terms FROM plans WHERE name = ?').bind(name);
    const stored = await answered(statement.first<string>('terms'));
    return stored === null && !isFirstPlan(name) ? null : { name, terms: planTerms(name, stored) };
  }

  /** Makes or changes the plan. From `nowMs` on its tenants are to be told. False: there are `max` others. */
  async set({ name, terms }: Plan, { max, nowMs }: { readonly max: number; readonly nowMs: number }): Promise<boolean> {
    const set = this.#database
      .prepare(
        `INSERT INTO plans (name, terms) SELECT ?1, ?2 WHERE (SELECT count(*) FROM plans WHERE name <> ?1) < ?3
          ON CONFLICT (name) DO UPDATE SET terms = excluded.terms`,
      )
      .bind(name, JSON.stringify(terms), max);
    const [stored] = await answered(this.#database.batch([set, this.#toTell(name, nowMs)]));
    return (stored?.meta.changes ?? 0) > 0;
  }

  /**
   * A plan that every service begins with is again as it was then, and its tenants are to be told. False: the plan has
   * tenants, or no row.
   */
  async remove(name: string, nowMs: number): Promise<boolean> {
    const free = isFirstPlan(name) ? '' : 'AND NOT EXISTS (SELECT 1 FROM tenants WHERE plan = ?1)';
    const remove = this.#database.prepare(`DELETE FROM plans WHERE name = ?1 ${free}`).bind(name);
    const [removed] = await answered(this.#database.batch([remove, this.#toTell(name, nowMs)]));
    return (removed?.meta.changes ?? 0) > 0;
  }

  /** How many tenants of the plan are to be told. */
  async countToTell(name: string): Promise<number> {
    const sql = 'SELECT count(*) AS count FROM tenants WHERE plan = ? AND tell_at_ms IS NOT NULL';
    return (await answered(this.#database.prepare(sql).bind(name).first<number>('count'))) ?? 0;
  }

  #toTell(name: string, nowMs: number): D1PreparedStatement {
    return this.#database
      .prepare('UPDATE tenants SET terms_version = terms_version + 1, tell_at_ms = ?2 WHERE plan = ?1')
      .bind(name, nowMs);
  }
}
