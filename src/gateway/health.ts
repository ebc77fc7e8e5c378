// GET /version, /health, /livez and /readyz as etcd has them. With a key, the tenant's group answers. Without a key,
// the service answers for itself, so that a probe need not hold a key: the service is well as long as it can say so.

import { parseCall } from '../api/call.ts';
import { failureResponse } from '../api/errors/errors.ts';
import { pathAndQuery } from '../api/request-target.ts';
import { emptyBytes } from '../base/bytes.ts';

export function serviceHealth({ url, method, headers }: Request): Response {
  const { path, query } = pathAndQuery(url);
  const call = parseCall({ method, path, query, headers, body: emptyBytes });
  if (call.kind === 'answered' || call.kind === 'refused') return call.response;
  if (call.kind !== 'health') return failureResponse('v3', { kind: 'notFound', near: [] });
  return call.respond({
    alarms: [],
    hasLeader: true,
    isLearner: false,
    serializableRead: null,
    linearizableRead: null,
  });
}
