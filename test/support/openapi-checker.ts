// Checks answers against the OpenAPI document: the status, the headers and the JSON of each must be in it. It knows the
// document and nothing of what is served. It runs in workerd and in Node, so its validator interprets schemas and
// compiles none.

import { Validator } from '@cfworker/json-schema';
import { openapiDocument } from '../../src/api/openapi/openapi.ts';

type Schema = Record<string, unknown>;
type Media = { readonly schema: Schema };
type Answer = {
  readonly $ref?: string;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly content?: Readonly<Record<string, Media>>;
};
type Operation = { readonly operationId: string; readonly responses: Readonly<Record<string, Answer>> };

// The type of the document names each path; here all paths are alike.
const { paths, components } = JSON.parse(JSON.stringify(openapiDocument)) as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>;
    readonly responses: Readonly<Record<string, Answer>>;
  };
};

/** A template that ends in the name of a key takes slashes as well: `/v1/kv/{key}`. The longer template counts. */
const templates = Object.keys(paths)
  .toSorted((left, right) => right.length - left.length)
  .map((template) => ({ template, form: formOf(template) }));

function formOf(template: string): RegExp {
  const text = template
    .replaceAll(/[.$]/g, String.raw`\$&`)
    .replace(/\{(key|name|call|check)\}$/, '.*')
    .replaceAll(/\{\w+\}/g, '[^/]+');
  return new RegExp(`^${text}$`, 's');
}

/** Headers that go with every message, or belong to the connection or to the Fetch standard. */
const headersOfAll: ReadonlySet<string> = new Set([
  'content-type',
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'date',
  'vary',
  'upgrade',
  'sec-websocket-accept',
  'sec-websocket-protocol',
  'sec-websocket-extensions',
  'access-control-allow-origin',
  'access-control-expose-headers',
]);

const validators = new Map<Schema, Validator>();

function schemaFaults(schema: Schema, value: unknown): string[] {
  let validator = validators.get(schema);
  if (validator === undefined) {
    validator = new Validator({ ...schema, components }, '2020-12', false);
    validators.set(schema, validator);
  }
  const { valid, errors } = validator.validate(value);
  return valid ? [] : errors.map(({ instanceLocation, error }) => `${instanceLocation}: ${error}`);
}

/** The faults of one frame of a v1 watch. */
export function frameFaults(frame: unknown): string[] {
  return schemaFaults({ $ref: '#/components/schemas/WatchFrame' }, frame);
}

export type Asked = { readonly method: string; readonly path: string };

function templateOf(path: string): string | null {
  return templates.find(({ form }) => form.test(path))?.template ?? null;
}

/** What an answer has that the document does not. Reads a copy of its body if that is JSON that ends. */
export async function answerFaults({ method, path }: Asked, answer: Response): Promise<string[]> {
  // A preflight belongs to the Fetch standard.
  if (method === 'OPTIONS') return [];
  const template = templateOf(path);
  if (template === null)
    return answer.status === 404 ? [] : [`${path} is not in the document and answers ${answer.status}`];
  const operation = paths[template]?.[method.toLowerCase()];
  const described =
    operation === undefined ? elsewhere(answer.status, template) : resolved(operation.responses[answer.status]);
  if (described === undefined) return [`status ${answer.status} of ${method} ${template} is not in the document`];
  const faults = headerFaults(described, answer.headers);
  const isEmpty = method === 'HEAD' || answer.status === 101 || answer.status === 204 || answer.status === 304;
  if (!isEmpty) faults.push(...(await bodyFaults(template, described, answer)));
  return faults.map((fault) => `${method} ${template}, ${answer.status}: ${fault}`);
}

/** The same check for a problem by itself, wherever it may be answered. */
export async function problemFaults(answer: Response): Promise<string[]> {
  const described = components.responses[answer.status];
  if (described === undefined) return [`no call answers ${answer.status}`];
  return [...headerFaults(described, answer.headers), ...(await bodyFaults('', described, answer))];
}

/** The answer to a method that the path does not take. */
function elsewhere(status: number, template: string): Answer | undefined {
  // The text that etcd answers on the paths of health.
  const headers = { Allow: {}, 'X-Content-Type-Options': {}, 'X-Request-Id': {} };
  const etcdText = { headers, content: { 'text/plain': { schema: {} } } };
  if (status === 405 && /^\/(health|livez|readyz|version)/.test(template)) return etcdText;
  const known = template.startsWith('/v3') ? [405, 501] : [404, 405, 501];
  return known.includes(status) ? resolved({ $ref: `#/components/responses/${status}` }) : undefined;
}

function resolved(answer: Answer | undefined): Answer | undefined {
  const name = answer?.$ref?.replace('#/components/responses/', '');
  return name === undefined ? answer : components.responses[name];
}

function headerFaults({ headers = {} }: Answer, sent: Headers): string[] {
  const known = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
  return [...sent.keys()]
    .filter((name) => !known.has(name) && !headersOfAll.has(name))
    .map((name) => `the header ${name} is not in the document`);
}

async function bodyFaults(template: string, { content = {} }: Answer, answer: Response): Promise<string[]> {
  const [type = ''] = (answer.headers.get('content-type') ?? '').split(';');
  const media = content[type];
  if (media === undefined) return [`the content type "${type}" is not in the document`];
  // Some of etcd's paths answer for as long as somebody listens. Their JSON is etcd's, and the corpus holds it.
  if (!/^application\/(problem\+)?json$/.test(type) || template.startsWith('/v3')) return [];
  const text = await answer.clone().text();
  try {
    return schemaFaults(media.schema, JSON.parse(text));
  } catch (error) {
    return [`not JSON: ${String(error)}`];
  }
}
