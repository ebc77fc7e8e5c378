// GET /v1/status: the call, and the JSON of the report that answers it.

import type { StatusReport } from '../../model/reports.ts';
import { Answer, jsonHeaders } from '../answer.ts';
import type { ApiRequest, StatusCall } from '../contract.ts';
import { parseQuery } from './parameters.ts';
import { type Parsed, parsed } from './parsed.ts';

export function parseStatus(request: ApiRequest): Parsed<StatusCall> {
  const query = parseQuery(request.query, []);
  return query.kind === 'bad' ? query : parsed({ kind: 'status', protocol: 'v1', respond: statusAnswer });
}

function statusAnswer(report: StatusReport): Answer {
  const text = JSON.stringify({
    leader: report.leader,
    term: report.term,
    commit_index: report.commitIndex,
    applied_index: report.appliedIndex,
    replicas: report.replicas,
    revision: report.revision,
    compacted_revision: report.compactedRevision,
    keys: report.keys,
    database_bytes: report.databaseBytes,
    version: report.version,
    level: report.level,
    log_entries: report.logEntries,
    log_bytes: report.logBytes,
    commands_undone: report.commandsUndone,
    alarms: report.alarms,
  });
  return new Answer(200, jsonHeaders, text);
}
