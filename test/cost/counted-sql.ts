// Counts the rows that the platform says it read and wrote for the SQL of an object, whoever runs it.

/** `historyRows`: by how many rows that which a compaction deletes has grown. Each is deleted later. */
export type RowCounts = {
  rowsWritten: number;
  rowsDeleted: number;
  rowsRead: number;
  historyRows: number;
};

/** A cursor reads on after the call that made it: the newest are looked at again. */
const openCursorsMax = 64;

const ofHistory: ReadonlySet<string> = new Set(['batches', 'superseded', 'large_values']);

type Watched = { readonly cursor: SqlStorageCursor<Record<string, SqlStorageValue>>; readonly statement: string };

/** Rows that are deleted count as written, too. The result is called for the counts so far. */
export function countSql(sql: SqlStorage): () => RowCounts {
  const counts: RowCounts = { rowsWritten: 0, rowsDeleted: 0, rowsRead: 0, historyRows: 0 };
  const open: Watched[] = [];
  const settle = (left: number): void => {
    for (const { cursor, statement } of open.splice(0, open.length - left)) {
      const { rowsRead, rowsWritten } = cursor;
      counts.rowsRead += rowsRead;
      counts.rowsWritten += rowsWritten;
      if (/^\s*DELETE\b/.test(statement)) counts.rowsDeleted += rowsWritten;
      const [, verb, table] = /^\s*(INSERT INTO|DELETE FROM) (\w+)/.exec(statement) ?? [];
      const more = verb === 'INSERT INTO' ? rowsWritten : -rowsWritten;
      if (table !== undefined && ofHistory.has(table)) counts.historyRows += more;
    }
  };
  const exec = sql.exec.bind(sql);
  Object.defineProperty(sql, 'exec', {
    value: (statement: string, ...bindings: unknown[]) => {
      const cursor = exec(statement, ...bindings);
      open.push({ cursor, statement });
      if (open.length > openCursorsMax) settle(openCursorsMax / 2);
      return cursor;
    },
  });
  return () => {
    settle(0);
    return { ...counts };
  };
}
