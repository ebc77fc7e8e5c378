// etcd's Snapshot: the bytes of a dump as a stream of messages, each with how many bytes follow it, then their SHA-256.
// The store goes on meanwhile: its history keeps the revision, and if a compaction overtakes it the stream ends by that
// failure.
//
// How many bytes there are is told first, so the dump is made twice: once to count, once to send. It is never in
// memory.

import { createHash } from 'node:crypto';
import type { DumpCall } from '../../api/contract.ts';
import { dumpMessage } from '../../api/v3/maintenance.ts';
import type { Failure } from '../../api/errors/errors.ts';
import { assert } from '../../base/assert.ts';
import { concatBytes, utf8 } from '../../base/bytes.ts';
import { answerReadMs, dumpPartBytes } from '../../limits.ts';
import type { CallContext } from './call-context.ts';
import { authorize, leadsAndCaughtUp } from './call-steps.ts';
import { rootOnly } from './maintenance-calls.ts';
import { dumpHead, DumpPairs, type PairSource } from './maintenance-dump.ts';
import type { Member } from '../member.ts';
import type { OpenCall } from '../open-calls.ts';

type Counted =
  | { readonly kind: 'bytes'; readonly bytes: number }
  | { readonly kind: 'failed'; readonly failure: Failure };

export async function serveDump(member: Member, call: DumpCall, context: CallContext): Promise<Response> {
  const elsewhere = await leadsAndCaughtUp(member, call, context);
  if (elsewhere !== null) return elsewhere;
  const { caller, services } = context;
  const refused = await authorize(member, caller, rootOnly);
  if (refused !== null) return failed(call, refused);
  const full = services.open.refusal('dump', caller);
  if (full !== null) return failed(call, full);
  let ended: Failure | null = null;
  const place: OpenCall = {
    kind: 'dump',
    caller,
    end: (failure) => {
      ended = failure;
    },
    probe: null,
  };
  services.open.add(place);
  const source = sourceOf(member);
  const head = await inSteps(member, dumpHead(member));
  const pairs = await countPairs(member, source);
  if (pairs.kind === 'failed' || ended !== null) {
    services.open.delete(place);
    return failed(call, pairs.kind === 'failed' ? pairs.failure : (ended ?? { kind: 'internal' }));
  }
  const untilMs = call.timeoutMs === null ? null : member.nowMs() + call.timeoutMs;
  const parts = new SnapshotParts(source, head, head.byteLength + pairs.bytes);
  if (caller.kind !== 'service') services.rates.moved(() => head.byteLength + pairs.bytes);
  // Each part that was read asks for the next one, because a client that reads no more would keep its slot for good.
  let unread: ReturnType<typeof setTimeout> | null = null;
  const body = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      if (unread !== null) clearTimeout(unread);
      // Other work comes between two pages.
      await scheduler.wait(0);
      const timedOut = untilMs !== null && member.nowMs() >= untilMs;
      const failure: Failure | null = timedOut ? { kind: 'timeout' } : ended;
      const next: Messages = failure === null ? await inSteps(member, parts.next()) : { kind: 'failed', failure };
      const text = next.kind === 'failed' ? `${call.failed(next.failure).text}\n` : next.text;
      controller.enqueue(utf8(text));
      if (next.kind === 'messages') {
        unread = setTimeout(() => {
          services.open.delete(place);
          controller.error(new Error('the client did not read the dump'));
        }, answerReadMs);
        return;
      }
      services.open.delete(place);
      controller.close();
    },
    cancel: () => {
      if (unread !== null) clearTimeout(unread);
      services.open.delete(place);
    },
  });
  return new Response(body, { headers: { 'content-type': 'application/json' } });
}

function failed(call: DumpCall, failure: Failure): Response {
  const { status, text } = call.failed(failure);
  return new Response(`${text}\n`, { status, headers: { 'content-type': 'application/json' } });
}

/** The dump is of the present revision. */
function sourceOf(member: Member): PairSource {
  const { store } = member.driver;
  return {
    revision: store.revision,
    range: (request) => store.rangeInSteps(request),
  };
}

/** Others have their turn between two steps. The history that a step needs stays until the last step. */
async function inSteps<Result>(member: Member, steps: Generator<void, Result, void>): Promise<Result> {
  const release = member.driver.store.holdHistory();
  try {
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
      await scheduler.wait(0);
    }
  } finally {
    release();
  }
}

async function countPairs(member: Member, source: PairSource): Promise<Counted> {
  const pairs = new DumpPairs(source);
  let bytes = 0;
  for (;;) {
    const page = await inSteps(member, pairs.next());
    if (page.kind === 'failed') return page;
    if (page.kind === 'end') return { kind: 'bytes', bytes };
    bytes += page.bytes.byteLength;
    await scheduler.wait(0);
  }
}

type Messages =
  | { readonly kind: 'messages' | 'last'; readonly text: string }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** Makes messages of the pages of a dump. */
class SnapshotParts {
  readonly #pairs: DumpPairs;
  readonly #digest = createHash('sha256');
  #pending: Uint8Array;
  #remaining: number;

  constructor(source: PairSource, head: Uint8Array, totalBytes: number) {
    this.#pairs = new DumpPairs(source);
    this.#pending = head;
    this.#remaining = totalBytes;
  }

  /** At least one message. */
  *next(): Generator<void, Messages, void> {
    while (this.#pending.byteLength < dumpPartBytes) {
      const page = yield* this.#pairs.next();
      if (page.kind === 'failed') return page;
      if (page.kind === 'end') {
        const rest = this.#cut(1);
        assert(this.#remaining === 0, 'a dump of one revision has the same bytes each time');
        return { kind: 'last', text: rest + this.#digestMessage() };
      }
      this.#pending = concatBytes(this.#pending, page.bytes);
    }
    return { kind: 'messages', text: this.#cut(dumpPartBytes) };
  }

  /** The pending bytes as messages, without a rest of fewer bytes than `partBytesMin`. */
  #cut(partBytesMin: number): string {
    const messages: string[] = [];
    let offset = 0;
    for (; this.#pending.byteLength - offset >= partBytesMin; offset += dumpPartBytes) {
      const part = this.#pending.subarray(offset, offset + dumpPartBytes);
      this.#digest.update(part);
      this.#remaining -= part.byteLength;
      messages.push(`${dumpMessage(this.#remaining, part)}\n`);
    }
    this.#pending = this.#pending.slice(offset);
    return messages.join('');
  }

  #digestMessage(): string {
    return `${dumpMessage(0, this.#digest.digest())}\n`;
  }
}
