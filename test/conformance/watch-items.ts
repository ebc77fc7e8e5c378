// Streams opened `by_watch`: the order between different watches of one stream is free, and so is the number of
// revisions in a message. This file splits messages into items for each watch, and checks each message with events
// against what etcd promises.

import { allowHeaderIdentity } from './allowances.ts';
import { isList, isObject, type Json, type JsonObject } from './conversation.ts';

export type WatchItem =
  | { readonly kind: 'event'; readonly event: Json }
  /** The result of a message without events. */
  | { readonly kind: 'message'; readonly result: Json };

export class WatchItems {
  /** The items that came and were not asked for yet. */
  readonly queues = new Map<string, WatchItem[]>();
  /** The revisions of progress messages, which are not queued. */
  readonly progress: string[] = [];
  /** The watches that had a message in fragments since they were last asked for. */
  readonly fragmented = new Set<string>();
  /** Broken promises, which the next step reports. */
  readonly violations: string[] = [];
  /** True from the first request on that asks for fragments. */
  fragmentsWanted = false;
  readonly #lastMessage = new Map<string, { readonly revision: string; readonly isFragment: boolean }>();

  add(message: Json): void {
    const result = isObject(message) ? message['result'] : undefined;
    if (!isObject(result)) {
      this.#queue('error').push({ kind: 'message', result: message });
      return;
    }
    if (isProgress(result)) {
      this.progress.push(revisionOf(result));
      return;
    }
    const watch = typeof result['watch_id'] === 'string' ? result['watch_id'] : '0';
    const events = result['events'];
    if (!isList(events)) {
      this.#queue(watch).push({ kind: 'message', result });
      return;
    }
    this.#check(watch, result, events);
    for (const event of events) this.#queue(watch).push({ kind: 'event', event });
  }

  waiting(watch: string): number {
    return this.queues.get(watch)?.length ?? 0;
  }

  take(watch: string): WatchItem | undefined {
    return this.queues.get(watch)?.shift();
  }

  unasked(): WatchItem[] {
    return [...this.queues.values()].flat();
  }

  #queue(watch: string): WatchItem[] {
    let queue = this.queues.get(watch);
    if (queue === undefined) {
      queue = [];
      this.queues.set(watch, queue);
    }
    return queue;
  }

  #check(watch: string, result: JsonObject, events: readonly Json[]): void {
    const identity = allowHeaderIdentity(result);
    const revisions = events.map(modRevision);
    const isFragment = result['fragment'] === true;
    const before = this.#lastMessage.get(watch);
    this.#lastMessage.set(watch, { revision: revisions.at(-1) ?? '', isFragment });
    if (isFragment) this.fragmented.add(watch);
    const broken = [
      identity.kind === 'refused' ? identity.reason : null,
      headerTooOld(result, revisions),
      before !== undefined && !before.isFragment && before.revision === revisions[0]
        ? `revision ${before.revision} is split over two messages, and the earlier does not say "fragment"`
        : null,
      isFragment && !this.fragmentsWanted ? '"fragment" on a stream where no watch asked for it' : null,
      unknownMember(result),
    ];
    for (const reason of broken) if (reason !== null) this.violations.push(`watch ${watch}: ${reason}`);
  }
}

/** Whether a message answers a request for progress: watch_id −1, neither created nor canceled, no events. */
export function isProgress(result: JsonObject): boolean {
  return (
    result['watch_id'] === '-1' &&
    result['created'] === undefined &&
    result['canceled'] === undefined &&
    result['events'] === undefined
  );
}

/** Whether a request that is sent on a stream asks for fragments, in either spelling. */
export function asksForFragments(request: Json): boolean {
  if (!isObject(request)) return false;
  const create = request['create_request'] ?? request['createRequest'];
  return isObject(create) && create['fragment'] === true;
}

export function asksForProgress(request: Json): boolean {
  return isObject(request) && ('progress_request' in request || 'progressRequest' in request);
}

/** An empty text stands for a missing revision; no recorded revision equals it. */
export function revisionOf(result: JsonObject): string {
  const header = result['header'];
  const revision = isObject(header) ? header['revision'] : undefined;
  return typeof revision === 'string' ? revision : '';
}

function modRevision(event: Json): string {
  const kv = isObject(event) ? event['kv'] : undefined;
  const revision = isObject(kv) ? kv['mod_revision'] : undefined;
  return typeof revision === 'string' ? revision : '';
}

function headerTooOld(result: JsonObject, revisions: readonly string[]): string | null {
  const header = revisionOf(result);
  const last = revisions.at(-1) ?? '';
  return Number(header) >= Number(last) ? null : `header.revision ${header} is before the last event's, ${last}`;
}

/** A message with events is taken apart, so a member that matching an event would not see is looked for here. */
function unknownMember(result: JsonObject): string | null {
  if (result['watch_id'] === '0' || result['fragment'] === false) return 'a default is not left out';
  const known = ['header', 'watch_id', 'events', 'fragment'];
  const extra = Object.keys(result).find((name) => !known.includes(name));
  return extra === undefined ? null : `a message with events has the member ${extra}`;
}
