// A call of a service that the front answers by itself.

import type { DescMethod } from '@bufbuild/protobuf';
import { grpc } from '../../api/errors/wire-error.ts';
import { health, healthOfAll, type OwnAnswer, reflection } from '../../api/grpc/own-services.ts';
import { jsonOfMessage, messageOfJson } from '../../api/grpc/schema.ts';
import { okStatus, parsed } from '../../api/grpc/status.ts';
import { assert } from '../../base/assert.ts';
import type { Serving } from '../serving.ts';
import type { GrpcCall, GrpcReply } from './grpc-call.ts';

export class OwnCall implements GrpcCall {
  readonly #reply: GrpcReply;
  readonly #method: DescMethod;
  readonly #serving: Serving;
  /** Ends the watch of the health. */
  #unfollow: () => void = () => undefined;
  #isOver = false;

  constructor(reply: GrpcReply, method: DescMethod, serving: Serving) {
    this.#reply = reply;
    this.#method = method;
    this.#serving = serving;
  }

  get isStream(): boolean {
    return this.#method.methodKind !== 'unary';
  }

  receives(bytes: Uint8Array): void {
    if (this.#isOver) return;
    const { input, methodKind } = this.#method;
    const json = jsonOfMessage(input, bytes);
    if (json === null) {
      this.#isOver = true;
      this.#reply.finish({ code: grpc.internal, message: `grpc: error unmarshalling request: ${input.typeName}` });
      return;
    }
    const request = parsed(json);
    this.#answer(request);
    if (methodKind === 'server_streaming') {
      this.#unfollow();
      this.#unfollow = this.#serving.follow(() => this.#answer(request));
    }
  }

  #answer(request: unknown): void {
    if (this.#isOver) return;
    const { output, methodKind } = this.#method;
    const answered = this.#answerTo(request);
    if (answered.kind === 'failed') {
      this.#isOver = true;
      this.#reply.finish(answered.status);
      return;
    }
    const message = messageOfJson(output, JSON.stringify(answered.answer));
    assert(message !== null, 'an answer of this code is a message');
    this.#reply.send(message);
    if (methodKind !== 'unary') return;
    this.#isOver = true;
    this.#reply.finish(okStatus);
  }

  #answerTo(request: unknown): OwnAnswer {
    const { parent, name } = this.#method;
    if (parent.name !== 'Health') return reflection(request);
    return name === 'List' ? healthOfAll(this.#serving.is) : health(request, this.#serving.is);
  }

  /** A watch of the health goes on. */
  halfClosed(): void {
    if (this.#isOver || this.#method.methodKind === 'server_streaming') return;
    this.#isOver = true;
    this.#reply.finish(okStatus);
  }

  left(): void {
    this.#isOver = true;
    this.#unfollow();
  }

  drained(): void {}
}
