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

type Cursor = SqlStorageCursor<Record<string, SqlStorageValue>>;
type Watched = { readonly cursor: Cursor; readonly statement: string; rowsRead: number; rowsWritten: number };

/**
 * Rows that are deleted count as written, too. The result is called for the counts so far. It touches no cursor: only
 * the object may look at one that was not read to its end.
 */
export function countSql(sql: SqlStorage): () => RowCounts {
  const counts: RowCounts = { rowsWritten: 0, rowsDeleted: 0, rowsRead: 0, historyRows: 0 };
  const open: Watched[] = [];
  let isLooking = false;
  const look = (): void => {
    isLooking = false;
    for (const watched of open) {
      const { rowsRead, rowsWritten } = watched.cursor;
      add(counts, watched.statement, {
        rowsRead: rowsRead - watched.rowsRead,
        rowsWritten: rowsWritten - watched.rowsWritten,
      });
      watched.rowsRead = rowsRead;
      watched.rowsWritten = rowsWritten;
    }
    open.splice(0, Math.max(0, open.length - openCursorsMax / 2));
  };
  const exec = sql.exec.bind(sql);
  Object.defineProperty(sql, 'exec', {
    value: (statement: string, ...bindings: unknown[]) => {
      const cursor = exec(statement, ...bindings);
      open.push({ cursor, statement, rowsRead: 0, rowsWritten: 0 });
      if (open.length > openCursorsMax) look();
      // Behind the turn that reads it.
      if (!isLooking) queueMicrotask(look);
      isLooking = true;
      return cursor;
    },
  });
  return () => ({ ...counts });
}

function add(counts: RowCounts, statement: string, more: { readonly rowsRead: number; readonly rowsWritten: number }) {
  counts.rowsRead += more.rowsRead;
  counts.rowsWritten += more.rowsWritten;
  if (/^\s*DELETE\b/.test(statement)) counts.rowsDeleted += more.rowsWritten;
  const [, verb, table] = /^\s*(INSERT INTO|DELETE FROM) (\w+)/.exec(statement) ?? [];
  if (table === undefined || !ofHistory.has(table)) return;
  counts.historyRows += verb === 'INSERT INTO' ? more.rowsWritten : -more.rowsWritten;
}
