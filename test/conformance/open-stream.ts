// What the steps of a conversation can ask of an open stream: the next messages in order, the items of a watch,
// progress, silence.

import { unreachable } from '../../src/base/assert.ts';
import type { Action, Json } from './conversation.ts';
import { isObject } from './conversation.ts';
import { answerWaitMs, parseJson } from './http-call.ts';
import { matchMessage, matchPlain, shown } from './matching.ts';
import type { Captures } from './placeholders.ts';
import type { Stream } from './stream.ts';
import { asksForFragments, asksForProgress, isProgress, revisionOf, WatchItems } from './watch-items.ts';

/**
 * The pause between two requests for progress: etcd answers one only while all watches of the stream are up to date.
 */
const progressPauseMs = 250;
/** If something did not come from a stream, the next wait for it is short: its difference is reported already. */
const brokenStreamWaitMs = 200;

export class OpenStream {
  readonly stream: Stream;
  /** Null: messages are expected one by one, in their order. */
  readonly #items: WatchItems | null;
  #broken = false;
  #progressSent = 0;
  #progressSeen = 0;

  constructor(stream: Stream, byWatch: boolean) {
    this.stream = stream;
    this.#items = byWatch ? new WatchItems() : null;
    const items = this.#items;
    if (items === null) return;
    stream.onMessage = (message) => {
      items.add(message);
      return true;
    };
  }

  send(text: string): string[] {
    this.noteRequest(text);
    return this.stream.send(text) ? [] : ['the stream is closed, nothing can be sent'];
  }

  noteRequest(text: string | null): void {
    const request = parseJson(text ?? '') ?? null;
    if (asksForProgress(request)) this.#progressSent++;
    if (this.#items !== null && asksForFragments(request)) this.#items.fragmentsWanted = true;
  }

  async expect(step: Extract<Action, { kind: 'expect' }>, captures: Captures): Promise<string[]> {
    const differences: string[] = [];
    for (const [index, recorded] of step.messages.entries()) {
      const message = await this.#nextMessage();
      if (message === undefined) return [...differences, this.#missing(`message ${index}, ${shown(recorded)}`)];
      const difference = matchMessage(recorded, message, captures);
      if (difference !== null) differences.push(`message ${index}: ${difference}`);
    }
    differences.push(...this.#checkStatus(step.status));
    if (step.end && !(await this.stream.until(() => this.stream.ended || this.#waiting() > 0, this.#waitMs()))) {
      differences.push('the stream does not end');
    }
    if (step.end && this.#waiting() > 0) differences.push(...this.unasked());
    return differences;
  }

  async gather(step: Extract<Action, { kind: 'gather' }>, captures: Captures): Promise<string[]> {
    const items = this.#items;
    if (items === null) throw new Error('gather needs a stream that was opened by_watch');
    const differences: string[] = [];
    for (const [watch, recorded] of step.watches) {
      for (const [index, expected] of recorded.entries()) {
        await this.stream.until(() => items.waiting(watch) > 0, this.#waitMs());
        const item = items.take(watch);
        if (item === undefined) {
          differences.push(this.#missing(`watch ${watch}, item ${index}, ${shown(expected)}`));
          break;
        }
        const difference = matchItem(expected, item, captures);
        if (difference !== null) differences.push(`watch ${watch}, item ${index}: ${difference}`);
      }
    }
    for (const watch of step.fragmented) {
      if (!items.fragmented.has(watch)) differences.push(`watch ${watch}: no message says "fragment"`);
    }
    return [...differences, ...items.violations.splice(0)];
  }

  /** Asks until a progress message comes. Late answers to requests of earlier steps are ignored. */
  async progress(revision: string): Promise<string[]> {
    let late = this.#progressSent - this.#progressSeen;
    const deadline = Date.now() + this.#waitMs();
    while (Date.now() < deadline && !this.stream.ended) {
      this.send('{"progress_request":{}}');
      await this.stream.until(() => this.#progressWaiting(), progressPauseMs);
      while (this.#progressWaiting()) {
        const came = this.#takeProgress();
        if (came.kind === 'other') return [came.reason];
        if (came.revision === revision) return [];
        if (late === 0 || Number(came.revision) > Number(revision)) {
          return [`progress: recorded revision ${revision}, came ${came.revision}`];
        }
        late--;
      }
    }
    return [this.#missing(`a progress message at revision ${revision}`)];
  }

  /** Messages that came and that no step asked for. Each of them is a difference. */
  unasked(): string[] {
    const left = this.stream.messages.splice(0).map((message) => `nobody asked for ${shown(message)}`);
    if (this.#items === null) return left;
    for (const item of this.#items.unasked()) {
      left.push(`nobody asked for ${shown(item.kind === 'event' ? item.event : item.result)}`);
    }
    for (const queue of this.#items.queues.values()) queue.length = 0;
    return [...left, ...this.#items.violations.splice(0)];
  }

  async #nextMessage(): Promise<Json | undefined> {
    await this.stream.until(() => this.stream.messages.length > 0, this.#waitMs());
    return this.stream.messages.shift();
  }

  #checkStatus(recorded: number | null): string[] {
    const { status } = this.stream;
    if (recorded === null && (status === 200 || status === 101)) return [];
    return status === recorded ? [] : [`status: recorded ${recorded ?? '200 or 101'}, came ${status ?? 'none'}`];
  }

  #progressWaiting(): boolean {
    return this.#items === null ? this.stream.messages.length > 0 : this.#items.progress.length > 0;
  }

  /** In a stream that is not split by watch, the next message must be the progress message. */
  #takeProgress():
    | { readonly kind: 'progress'; readonly revision: string }
    | { readonly kind: 'other'; readonly reason: string } {
    if (this.#items !== null) {
      this.#progressSeen++;
      return { kind: 'progress', revision: this.#items.progress.shift() ?? '' };
    }
    const message = this.stream.messages.shift() ?? null;
    const result = isObject(message) ? message['result'] : undefined;
    if (!isObject(result) || !isProgress(result)) {
      return { kind: 'other', reason: `recorded a progress message, came ${shown(message)}` };
    }
    const revision = revisionOf(result);
    const recorded = { result: { header: { revision }, watch_id: '-1' } };
    const difference = matchMessage(recorded, message, new Map());
    if (difference !== null) return { kind: 'other', reason: difference };
    this.#progressSeen++;
    return { kind: 'progress', revision };
  }

  #waiting(): number {
    return this.stream.messages.length + (this.#items?.unasked().length ?? 0);
  }

  #waitMs(): number {
    return this.#broken ? brokenStreamWaitMs : answerWaitMs;
  }

  #missing(what: string): string {
    this.#broken = true;
    return `${this.stream.ended ? 'the stream ended without' : 'did not come:'} ${what}`;
  }
}

function matchItem(recorded: Json, item: ReturnType<WatchItems['take']> & object, captures: Captures): string | null {
  switch (item.kind) {
    case 'event':
      return matchPlain(recorded, item.event, captures);
    case 'message':
      return matchMessage({ result: recorded }, { result: item.result }, captures);
    default:
      return unreachable(item);
  }
}
