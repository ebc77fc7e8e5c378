// What a call by gRPC is for the stream that it came on, and what the stream is for the call.

import type { GrpcStatus } from '../../api/grpc/status.ts';

/** What serves a call. Nothing is said to it any more once it has finished, or was left. */
export interface GrpcCall {
  /** The client is awaited for nothing: such a call ends where the server does. */
  readonly isStream: boolean;
  receives(message: Uint8Array): void;
  /** The client sends no more messages. */
  halfClosed(): void;
  /** The client has gone, or its time is up: nobody waits for the answer. */
  left(): void;
  /** More may be sent. */
  drained(): void;
  /** Called once a second. */
  look?(nowMs: number): void;
}

/** How a call answers. */
export interface GrpcReply {
  /** False: the client is behind, and no more is to be sent until `drained`. */
  send(message: Uint8Array): boolean;
  /** The same with several at once. */
  sendAll(messages: readonly Uint8Array[]): boolean;
  /** What was sent, and has not left this process. */
  unsentBytes(): number;
  /** It is called once, behind all messages. */
  finish(status: GrpcStatus): void;
  /** Calls back once the client has read what it was sent, or has gone. */
  untilRead(release: () => void): void;
  /** No further message is wanted until `resume`. */
  pause(): void;
  resume(): void;
}
