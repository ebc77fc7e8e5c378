// Reads a client's call from the request in which the gateway hands it on (`forwardedHeaders`, `callUrl`).

import type { WholeRequest } from '../../api/contract.ts';
import { parseCaller } from '../../api/caller-text.ts';
import {
  callerHeader,
  failedLeaderHeader,
  goesOnHeader,
  mayBeAloneHeader,
  originHeader,
  seenOf,
  suspectedLeaderHeader,
  writeIdHeader,
} from '../../api/forwarded.ts';
import { pathAndQuery, targetOf } from '../../api/request-target.ts';
import { endpointOf } from '../../api/routes.ts';
import { emptyBytes } from '../../base/bytes.ts';
import { replicaId, type ReplicaId } from '../../model/brands.ts';
import type { CallFacts } from './call-context.ts';

export type ClientCall = {
  readonly request: WholeRequest;
  readonly facts: CallFacts;
  /** The body of a call whose messages are answered as they come. Null: it was read, or there is none. */
  readonly posted: ReadableStream<Uint8Array> | null;
};

export async function readClientCall(from: Request): Promise<ClientCall> {
  // A gateway of the version before this one says by the URL itself what the client called.
  const { path, query } = targetOf(from.url) ?? pathAndQuery(from.url);
  const { headers, method } = from;
  const posted = headers.has(goesOnHeader) ? from.body : null;
  const isWhole = from.body !== null && posted === null && endpointOf({ method, path, headers }).body !== 'asItComes';
  const body = isWhole ? new Uint8Array(await from.arrayBuffer()) : emptyBytes;
  return {
    request: { method, path, query, headers, body },
    facts: {
      caller: parseCaller(headers.get(callerHeader) ?? '') ?? { kind: 'accessKey', id: '' },
      writeId: headers.get(writeIdHeader) ?? '',
      mayBeAlone: headers.has(mayBeAloneHeader),
      seen: seenOf(headers),
      failedLeader: numberOf(headers.get(failedLeaderHeader)),
      suspectedLeader: numberOf(headers.get(suspectedLeaderHeader)),
      origin: headers.get(originHeader) ?? '',
      gone: from.signal,
    },
    posted,
  };
}

function numberOf(header: string | null): ReplicaId | null {
  return header === null ? null : replicaId(Number(header));
}
