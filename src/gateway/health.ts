// GET /version, /health, /livez and /readyz as etcd has them. With a key, the tenant's group answers. Without a key,
// the service answers for itself, so that a probe need not hold a key: the service is well as long as it can say so.

import { parseCall } from '../api/call.ts';
import { failureResponse } from '../api/errors/errors.ts';
import { pathAndQuery } from '../api/request-target.ts';
import { emptyBytes } from '../base/bytes.ts';
import { type Directory, DirectoryUnavailable } from '../tenants/directory.ts';

export function serviceHealth({ url, method, headers }: Request): Response {
  const { path, query } = pathAndQuery(url);
  const call = parseCall({ method, path, query, headers, body: emptyBytes });
  if (call.kind === 'answered' || call.kind === 'refused') return call.response;
  if (call.kind !== 'health') return failureResponse('v3', { kind: 'notFound', near: [] });
  return call
    .respond({
      alarms: [],
      hasLeader: true,
      isLearner: false,
      serializableRead: null,
      linearizableRead: null,
    })
    .toResponse();
}

/** GET /healthz: whether the service is set up, and what is missing and what to do where it is not. */
export class SetUpHealth {
  readonly #faults: readonly string[];
  readonly #directory: Directory;
  #isMigrated = false;

  /** `faults`: of the settings. */
  constructor(faults: readonly string[], directory: Directory) {
    this.#faults = faults;
    this.#directory = directory;
  }

  async answer(): Promise<Response> {
    const tables = await this.#tables();
    const faults = tables === 'missing' ? [...this.#faults, migrate] : this.#faults;
    if (faults.length > 0) return textAnswer(`not set up: ${faults.join('; ')}\n`, 503);
    return textAnswer(tables === 'unknown' ? `ok\n${away}\n` : 'ok\n', 200);
  }

  /** A directory that once had its tables has them, so it is not asked again at each probe. */
  async #tables(): Promise<'there' | 'missing' | 'unknown'> {
    if (this.#isMigrated) return 'there';
    try {
      this.#isMigrated = await this.#directory.isMigrated();
      return this.#isMigrated ? 'there' : 'missing';
    } catch (error) {
      if (!(error instanceof DirectoryUnavailable)) throw error;
      console.error(error);
      return 'unknown';
    }
  }
}

const migrate =
  'the directory (D1) lacks tables: apply the migrations, "npx wrangler d1 migrations apply quorate-directory --remote"';
const away = 'the directory (D1) does not answer: every store goes on, and no tenant can be changed until it does';

function textAnswer(text: string, status: number): Response {
  return new Response(text, { status, headers: { 'content-type': 'text/plain; charset=UTF-8' } });
}
