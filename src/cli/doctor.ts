// The examination of a deployed service: its settings, its directory, its objects and where they were placed. The
// examination provisions a tenant of its own and deletes it at its end. It knows the service by its HTTP API alone.

import { assert } from '../base/assert.ts';

/** `advice`: what to do. */
export type Finding =
  | { readonly kind: 'well'; readonly check: string; readonly detail: string }
  | { readonly kind: 'doubt' | 'ill'; readonly check: string; readonly detail: string; readonly advice: string };

export type DoctorOptions = {
  /** Without a slash at its end. */
  readonly url: string;
  readonly operatorToken: string;
  /** The name of the tenant that the examination provisions and deletes. */
  readonly tenantName: string;
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>;
  /** Milliseconds. */
  readonly now: () => number;
};

type Answer = { readonly status: number; readonly body: unknown; readonly text: string; readonly ms: number };

const putsMeasured = 10;

/** Findings come as they are made. The examination ends at the first one that makes the following ones pointless. */
export async function* examine(options: DoctorOptions): AsyncGenerator<Finding> {
  const doctor = new Doctor(options);
  const reached = await doctor.settings();
  yield reached;
  if (reached.kind === 'ill') return;
  const directory = await doctor.directory();
  yield directory;
  if (directory.kind === 'ill') return;
  const provisioned = await doctor.provision();
  yield provisioned.finding;
  if (provisioned.tenant === null) return;
  const { tenant } = provisioned;
  try {
    yield await doctor.objects(tenant.key);
    yield await doctor.group(tenant.key);
    yield await doctor.placement(tenant.id);
  } finally {
    yield await doctor.remove(tenant.id);
  }
}

class Doctor {
  readonly #options: DoctorOptions;

  constructor(options: DoctorOptions) {
    this.#options = options;
  }

  async settings(): Promise<Finding> {
    const check = 'settings';
    let answer: Answer;
    try {
      answer = await this.#call('GET', '/healthz', {});
    } catch (error) {
      const detail = `${this.#options.url} does not answer: ${causeOf(error)}`;
      return { kind: 'ill', check, detail, advice: 'Look at the address. "npx wrangler deploy" prints it at its end.' };
    }
    // A directory without tables is what the next check is about.
    const lacksTablesAlone = answer.status === 503 && !/SERVICE_SECRET|OPERATOR_TOKEN/.test(answer.text);
    if ((answer.status === 200 && answer.text.startsWith('ok')) || lacksTablesAlone) {
      return { kind: 'well', check, detail: `both secrets are set (${answer.ms} ms)` };
    }
    if (answer.status === 503) {
      const advice =
        'Make each secret with "openssl rand -base64 32", and set it with "npx wrangler secret put <name>".';
      return { kind: 'ill', check, detail: answer.text.trim(), advice };
    }
    const advice = 'Another service seems to have this address. "npx wrangler deploy" prints the right one at its end.';
    return { kind: 'ill', check, detail: `GET /healthz was answered with ${answer.status}`, advice };
  }

  async directory(): Promise<Finding> {
    const check = 'directory';
    const answer = await this.#asOperator('GET', '/v1/tenants?limit=1');
    if (answer.status === 200)
      return { kind: 'well', check, detail: `D1 answers and has its tables (${answer.ms} ms)` };
    const detail = problemOf(answer);
    if (answer.status === 401 || answer.status === 403) {
      const advice =
        'OPERATOR_TOKEN here is not the secret of that name there. "npx wrangler secret put OPERATOR_TOKEN" sets it.';
      return { kind: 'ill', check, detail, advice };
    }
    const advice =
      'Look at database_id in wrangler.toml, and apply the migrations: "npx wrangler d1 migrations apply quorate-directory --remote".';
    return { kind: 'ill', check, detail, advice };
  }

  async provision(): Promise<{
    readonly finding: Finding;
    readonly tenant: { readonly id: string; readonly key: string } | null;
  }> {
    const check = 'provisioning';
    const answer = await this.#asOperator('POST', '/v1/tenants', JSON.stringify({ name: this.#options.tenantName }));
    const id = member(answer.body, 'id');
    const key = member(answer.body, 'key');
    if (answer.status !== 201 || typeof id !== 'string' || typeof key !== 'string') {
      const advice = 'Look at the log of the Worker: "npx wrangler tail".';
      return { finding: { kind: 'ill', check, detail: problemOf(answer), advice }, tenant: null };
    }
    return {
      finding: { kind: 'well', check, detail: `tenant ${id} has a store (${answer.ms} ms)` },
      tenant: { id, key },
    };
  }

  async objects(key: string): Promise<Finding> {
    const check = 'store';
    const headers = { Authorization: `Bearer ${key}` };
    const path = '/v1/kv/doctor';
    const times: { put: number; get: number }[] = [];
    for (let count = 0; count < putsMeasured; count++) {
      const value = `value ${count}`;
      const put = await this.#call('PUT', path, { headers, body: value });
      if (put.status !== 200) return ill(check, 'a put', put);
      const get = await this.#call('GET', path, { headers });
      if (get.status !== 200) return ill(check, 'a get', get);
      if (get.text !== value) {
        const detail = `a get answered "${get.text}" after "${value}" was put`;
        return { kind: 'ill', check, detail, advice: 'A store must never do this: stop using it, and report it.' };
      }
      times.push({ put: put.ms, get: get.ms });
    }
    const put = median(times.map((time) => time.put));
    const get = median(times.map((time) => time.get));
    return {
      kind: 'well',
      check,
      detail: `${putsMeasured} puts were read back (medians: put ${put} ms, get ${get} ms)`,
    };
  }

  async group(key: string): Promise<Finding> {
    const check = 'group';
    const answer = await this.#call('GET', '/v1/status', { headers: { Authorization: `Bearer ${key}` } });
    const replicas = member(answer.body, 'replicas');
    if (answer.status !== 200 || !Array.isArray(replicas)) return ill(check, 'the status', answer);
    const members = replicas.map((replica: unknown) => ({
      id: member(replica, 'id'),
      state: member(replica, 'state'),
    }));
    const others = members.filter(({ state }) => state !== 'serving');
    const level = String(member(answer.body, 'level'));
    if (others.length === 0)
      return { kind: 'well', check, detail: `${members.length} replicas serve, at level ${level}` };
    const detail = others.map(({ id, state }) => `replica ${String(id)} is "${String(state)}"`).join(', ');
    const advice =
      'A replica says what it is a moment after its first call. Ask again; if it stays, look at "npx wrangler tail".';
    return { kind: 'doubt', check, detail, advice };
  }

  async placement(tenant: string): Promise<Finding> {
    const check = 'placement';
    const answer = await this.#asOperator('GET', `/v1/tenants/${tenant}/replicas`);
    const replicas = member(answer.body, 'replicas');
    if (answer.status !== 200 || !Array.isArray(replicas)) return ill(check, 'the list of replicas', answer);
    const locations = replicas.map((replica: unknown) => String(member(replica, 'location')));
    const detail = `the replicas were asked to run in ${locations.join(', ')}`;
    if (new Set(locations).size === locations.length) return { kind: 'well', check, detail };
    const advice =
      'Two replicas in one location are lost together: move one (POST /v1/tenants/{id}/replicas with "replaces").';
    return { kind: 'doubt', check, detail, advice };
  }

  async remove(tenant: string): Promise<Finding> {
    const check = 'deletion';
    const answer = await this.#asOperator('DELETE', `/v1/tenants/${tenant}?force=true`);
    if (answer.status === 204 || answer.status === 202)
      return { kind: 'well', check, detail: `tenant ${tenant} is deleted (${answer.ms} ms)` };
    const advice = `The tenant of this examination is still there: delete it (DELETE /v1/tenants/${tenant}?force=true).`;
    return { kind: 'ill', check, detail: problemOf(answer), advice };
  }

  #asOperator(method: string, path: string, body?: string): Promise<Answer> {
    const headers = { Authorization: `Bearer ${this.#options.operatorToken}` };
    return this.#call(method, path, body === undefined ? { headers } : { headers, body });
  }

  async #call(method: string, path: string, init: RequestInit): Promise<Answer> {
    const { url, fetch, now } = this.#options;
    const began = now();
    const response = await fetch(`${url}${path}`, { ...init, method, redirect: 'manual' });
    const text = await response.text();
    return { status: response.status, text, body: parseJson(text), ms: Math.round(now() - began) };
  }
}

function ill(check: string, what: string, answer: Answer): Finding {
  const detail = `${what} was answered: ${problemOf(answer)}`;
  return { kind: 'ill', check, detail, advice: 'Look at the log of the Worker: "npx wrangler tail".' };
}

/** What an answer says of its failure. */
function problemOf({ status, body, text }: Answer): string {
  const detail = member(body, 'detail');
  return `${status} ${typeof detail === 'string' ? detail : text.slice(0, 200).trim()}`.trim();
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? new Map<string, unknown>(Object.entries(value)).get(name)
    : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function median(values: readonly number[]): number {
  const middle = values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)];
  assert(middle !== undefined, 'nothing was measured');
  return middle;
}

/** `fetch` fails with a text that says little, and has the cause beside it. */
export function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}
