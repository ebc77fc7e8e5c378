// Brings the directory's schema up to date: applies every file of migrations/ once, in the order of their names. The
// names of applied files are kept as Wrangler keeps them, so that either program can go on where the other stopped.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorMessage, ServerFailure } from './failure.ts';
import { splitStatements } from './sql-statements.ts';

const createTable = `CREATE TABLE IF NOT EXISTS d1_migrations(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT UNIQUE,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
)`;

/**
 * Returns the names of the files that were applied now. @throws ServerFailure that names the file which could not be
 * applied.
 */
export async function applyMigrations(database: D1Database, folder: string): Promise<string[]> {
  await database.prepare(createTable).run();
  const { results } = await database.prepare('SELECT name FROM d1_migrations').all<{ name: string }>();
  const applied = new Set(results.map(({ name }) => name));
  const pending = readdirSync(folder)
    .filter((name) => name.endsWith('.sql') && !applied.has(name))
    .sort();
  for (const name of pending) {
    const statements = splitStatements(readFileSync(join(folder, name), 'utf8'));
    try {
      // A batch is one transaction: a file is applied whole and recorded, or not at all.
      await database.batch([
        ...statements.map((statement) => database.prepare(statement)),
        database.prepare('INSERT INTO d1_migrations (name) VALUES (?)').bind(name),
      ]);
    } catch (error) {
      throw new ServerFailure(`the migration ${name} cannot be applied: ${errorMessage(error)}`);
    }
  }
  return pending;
}
