// Sends the steps of a conversation by gRPC, and gives their answers in the form that etcd's JSON gateway makes of
// them. A step that only JSON can say (a body that is no message, another method, a header of HTTP) is sent over HTTP.

import { fromBinary, type JsonValue, toJson } from '@bufbuild/protobuf';
import { grpcMethod } from '../../src/api/grpc/methods.ts';
import { rangeStreamPath } from '../../src/api/grpc/range-stream.ts';
import { messageOfJson, methodAt } from '../../src/api/grpc/schema.ts';
import { grpc, httpOfGrpc } from '../../src/api/errors/wire-error.ts';
import { etcdPath, etcdPrefixes } from '../../src/api/routes.ts';
import { methodPaths } from '../support/grpc-methods.ts';
import { GrpcClient, type GrpcClientCall } from '../support/grpc-client.ts';
import type { Call, Json } from './conversation.ts';
import { bodyText, callHeaders, type HttpAnswer, parseJson } from './http-call.ts';
import type { Captures } from './placeholders.ts';
import type { Store } from './store.ts';
import { Stream } from './stream.ts';

/** By the path of v3 behind its prefix. A stream of a range is no call of v3. */
const paths = new Map(
  methodPaths.flatMap((path) => {
    if (path === rangeStreamPath) return [];
    const method = grpcMethod(path);
    return method.kind === 'etcd' ? [[etcdPath(method.call).slice('/v3/'.length), path] as const] : [];
  }),
);

/** What is sent: a method, one message, who calls. */
type Sent = { readonly path: string; readonly json: string; readonly metadata: Readonly<Record<string, string>> };

export class GrpcCalls {
  readonly #client: GrpcClient;
  readonly #store: Store;
  /** How many steps went by gRPC. */
  count = 0;

  constructor(store: Store) {
    this.#store = store;
    this.#client = new GrpcClient(store.url.href);
  }

  /** Null: it is to be sent over HTTP. */
  answer(call: Call, captures: Captures, waitMs: number): Promise<HttpAnswer> | null {
    const sent = this.#sent(call, captures);
    if (sent === null || methodAt(sent.path)?.methodKind !== 'unary') return null;
    this.count++;
    return this.#answer(sent, waitMs);
  }

  /** Null: it is to be sent over HTTP. A POST has one message in its body, and those of a WebSocket follow. */
  open(call: Call, captures: Captures, as: 'post' | 'websocket'): Stream | null {
    const sent = this.#sent(call, captures);
    const kind = sent === null ? undefined : methodAt(sent.path)?.methodKind;
    if (sent === null || kind === undefined || kind === 'unary') return null;
    this.count++;
    const opened = this.#client.open(sent.path, sent.metadata);
    if (as === 'post') {
      opened.sendBytes(bytesOf(sent.path, sent.json) ?? new Uint8Array());
      opened.end();
    }
    return streamOf(opened, sent.path);
  }

  close(): void {
    this.#client.close();
  }

  #sent(call: Call, captures: Captures): Sent | null {
    const path = pathOf(call.path);
    const text = bodyText(call.body, captures) ?? '{}';
    if (call.method !== 'POST' || path === null || !isPlain(path, text)) return null;
    const headers = callHeaders({ headers: {} }, call, captures);
    const { authorization: token, 'content-type': type = 'application/json', ...others } = headers;
    // HTTP/2 has no value that begins or ends with a space.
    if (Object.keys(others).length > 0 || type !== 'application/json' || token?.trim() !== token || token === '')
      return null;
    // A real etcd has no access keys.
    const accessKey = this.#store.headers['quorate-key'];
    const key = accessKey === undefined ? {} : { 'quorate-key': accessKey };
    return { path, json: text, metadata: token === undefined ? key : { ...key, token } };
  }

  async #answer({ path, json, metadata }: Sent, waitMs: number): Promise<HttpAnswer> {
    const call = this.#client.open(path, metadata);
    call.sendBytes(bytesOf(path, json) ?? new Uint8Array());
    call.end();
    const timer = setTimeout(() => call.stream.destroy(new Error(`no answer within ${waitMs} ms`)), waitMs);
    const { code, message } = await call.ended.finally(() => clearTimeout(timer));
    // Where a caller is not known, the gateway shows etcd's words as the challenge.
    const challenge = code === grpc.unauthenticated ? { 'www-authenticate': message } : {};
    const headers = { 'content-type': 'application/json', ...challenge };
    if (code !== 0) return { status: statusOf(code), headers, body: JSON.stringify({ code, message }) };
    const [bytes = new Uint8Array()] = call.bytes;
    return { status: 200, headers, body: JSON.stringify(jsonOf(path, bytes)) };
  }
}

function pathOf(path: string): string | null {
  const prefix = etcdPrefixes.find((each) => path.startsWith(each));
  return prefix === undefined ? null : (paths.get(path.slice(prefix.length)) ?? null);
}

/** Whether the text says a message in no form that is JSON's alone, such as a number in exponents or a name in null. */
function isPlain(path: string, text: string): boolean {
  const method = methodAt(path);
  const bytes = bytesOf(path, text);
  const said = parseJson(text);
  if (method === null || bytes === null || said === undefined) return false;
  return isSame(said, toJson(method.input, fromBinary(method.input, bytes), { useProtoFieldName: true }));
}

/** A member may be left out where it is empty, and an integer need not be in quotes. */
function isSame(said: Json, meant: JsonValue | undefined): boolean {
  if (meant === undefined) return said === '' || said === '0' || said === 0 || said === false;
  if (typeof said === 'number') return Number.isSafeInteger(said) && (said === meant || String(said) === meant);
  if (typeof said !== 'object' || said === null) return said === meant;
  if (typeof meant !== 'object' || meant === null) return false;
  const members = new Map(Object.entries(meant));
  return Object.entries(said).every(([name, value]) => isSame(value, members.get(name)));
}

function bytesOf(path: string, json: string): Uint8Array | null {
  const method = methodAt(path);
  return method === null ? null : messageOfJson(method.input, json);
}

/** With the names of the .proto files, as the gateway has them. */
function jsonOf(path: string, bytes: Uint8Array): unknown {
  const method = methodAt(path);
  return method === null ? null : toJson(method.output, fromBinary(method.output, bytes), { useProtoFieldName: true });
}

function statusOf(code: number): number {
  return Object.entries(httpOfGrpc).find(([each]) => Number(each) === code)?.[1].status ?? 0;
}

function streamOf(call: GrpcClientCall, path: string): Stream {
  return Stream.of({
    send: (text) => {
      const bytes = bytesOf(path, text);
      if (bytes === null || call.stream.destroyed) return false;
      call.sendBytes(bytes);
      return true;
    },
    close: () => call.stream.close(),
    begin: ({ status, receive, end }) => {
      const taken = (): void => {
        for (const bytes of call.bytes.splice(0)) {
          status(200);
          receive(JSON.stringify({ result: jsonOf(path, bytes) }));
        }
      };
      call.onMessage = taken;
      taken();
      call.ended.then(
        ({ code, message }) => {
          if (code !== 0) {
            status(statusOf(code));
            receive(JSON.stringify({ error: { code, message } }));
          }
          end();
        },
        () => end(),
      );
    },
  });
}
