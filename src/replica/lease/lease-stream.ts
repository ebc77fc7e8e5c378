// Streams of keepalives by POST whose bodies go on. Each message is answered when it comes, by the replica that leads
// then, like a frame of a WebSocket. The response has the status of the answer to the first message. It ends when the
// body ends, or with a message that fails.

import { failureResponse, streamErrorText } from '../../api/errors/errors.ts';
import type { Failure } from '../../api/errors/failures.ts';
import { postedMessageWaitMs, requestBodyBytesMax, streamProbeMs, watchBodyDrainMs } from '../../limits.ts';
import type { Reservation } from '../../base/memory-budget.ts';
import type { Caller } from '../../model/store.ts';
import type { OpenCall, OpenCalls } from '../open-calls.ts';
import { blankSpace } from '../../api/blanks.ts';
import { BodyChannel, type BodyOptions } from '../watch/watch-body.ts';
import { type Posted, PostedMessages } from '../watch/watch-posted.ts';

export type KeepAliveStreamsOptions = {
  readonly open: OpenCalls;
  readonly memory: (caller: Caller) => Reservation;
  readonly durable: BodyOptions['durable'];
  /** Answers one message, by this replica or by the leader. Never fails. */
  readonly serve: (message: Uint8Array, source: KeepAliveSource, gone: AbortSignal) => Promise<Response>;
};

export type KeepAliveSource = { readonly caller: Caller; readonly origin: string };

export class KeepAliveStreams {
  readonly #options: KeepAliveStreamsOptions;

  constructor(options: KeepAliveStreamsOptions) {
    this.#options = options;
  }

  async open(body: ReadableStream<Uint8Array>, source: KeepAliveSource, timeoutMs: number | null): Promise<Response> {
    const { open } = this.#options;
    const refusal = await open.refusalAfterProbe('keepAliveStream', source.caller);
    if (refusal !== null) return failureResponse('v3', refusal);
    const stream = new KeepAliveStream(this.#options, source, new PostedMessages(body));
    const timer = timeoutMs === null ? null : setTimeout(() => stream.end({ kind: 'timeout' }), timeoutMs);
    return stream.begin(() => {
      if (timer !== null) clearTimeout(timer);
    });
  }
}

class KeepAliveStream {
  readonly #options: KeepAliveStreamsOptions;
  readonly #source: KeepAliveSource;
  readonly #posted: PostedMessages;
  readonly #openCall: OpenCall;
  readonly #channel: BodyChannel;
  readonly #gone = new AbortController();
  #ended: Failure | 'closed' | null = null;
  #probe: ReturnType<typeof setInterval> | null = null;
  #closed: () => void = () => undefined;

  constructor(options: KeepAliveStreamsOptions, source: KeepAliveSource, posted: PostedMessages) {
    this.#options = options;
    this.#source = source;
    this.#posted = posted;
    this.#channel = new BodyChannel({
      terminator: '',
      blank: blankSpace,
      durable: options.durable,
      backlogBytesMax: () => requestBodyBytesMax,
      memory: options.memory(source.caller),
      drained: () => undefined,
      gone: () => this.#close(),
      closed: () => this.#close(),
    });
    const { caller } = source;
    const end = (failure: Failure): void => this.end(failure);
    this.#openCall = { kind: 'keepAliveStream', caller, end, probe: () => this.#channel.probe() };
    options.open.add(this.#openCall);
  }

  /** The response, with the status of the answer to the first message. `closed` is called when the stream has ended. */
  async begin(closed: () => void): Promise<Response> {
    this.#closed = closed;
    const timer = setTimeout(() => this.end({ kind: 'timeout' }), postedMessageWaitMs);
    const posted = await this.#posted.first();
    clearTimeout(timer);
    const [message, ...others] = posted.messages;
    const failure = this.#failureOf(message === undefined ? posted.fault : null);
    if (failure !== null) return this.#answerAlone(failureResponse('v3', failure));
    const headers = { 'content-type': 'application/json' };
    if (message === undefined) return this.#answerAlone(new Response(null, { headers }));
    const first = await this.#serve(message);
    if (first.status !== 200) return this.#answerAlone(first);
    this.#channel.send(await first.text());
    this.#probe = setInterval(() => this.#channel.probeIfQuiet(), streamProbeMs);
    this.#goOn({ ...posted, messages: others }).catch(() => this.end({ kind: 'internal' }));
    return new Response(this.#channel.stream, { headers });
  }

  /** Ends the stream with a message that says why. */
  end(failure: Failure): void {
    if (this.#ended !== null) return;
    this.#ended = failure;
    this.#posted.cancel();
    this.#gone.abort();
    this.#channel.send(`${streamErrorText(failure)}\n`);
    this.#channel.close(failure);
  }

  async #goOn(first: Posted): Promise<void> {
    for (let posted = first; this.#ended === null; posted = await this.#posted.next()) {
      for (const message of posted.messages) {
        const answer = await this.#serve(message);
        const text = await answer.text();
        if (this.#ended !== null) return;
        this.#channel.send(text);
        if (answer.status !== 200 || isFailure(text)) return this.#channel.finish();
        if (this.#channel.room() === 'over') return this.end({ kind: 'overloaded' });
      }
      const failure = this.#failureOf(posted.fault);
      if (failure !== null) return this.end(failure);
      if (posted.ended) return this.#channel.finish();
    }
  }

  #failureOf(fault: string | null): Failure | null {
    if (this.#ended !== null && this.#ended !== 'closed') return this.#ended;
    return fault === null ? null : { kind: 'badRequest', detail: fault };
  }

  #serve(message: Uint8Array): Promise<Response> {
    return this.#options.serve(message, this.#source, this.#gone.signal);
  }

  #answerAlone(answer: Response): Response {
    this.#posted.cancel();
    this.#close();
    return answer;
  }

  #close(): void {
    this.#ended ??= 'closed';
    this.#posted.cancel();
    this.#gone.abort();
    this.#options.open.delete(this.#openCall);
    if (this.#probe !== null) clearInterval(this.#probe);
    if (this.#channel.backlogBytes > 0) setTimeout(() => this.#channel.abandon(), watchBodyDrainMs);
    this.#closed();
  }
}

/** A stream that has begun with 200 tells of a failure in its last line. */
function isFailure(text: string): boolean {
  return text.startsWith('{"error"');
}
