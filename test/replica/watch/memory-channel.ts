// A watch connection in memory, for tests of the streams.

import type { Closing } from '../../../src/api/close-frames.ts';
import type { ResponseHeader } from '../../../src/api/contract.ts';
import type { Room, WatchChannel } from '../../../src/replica/watch/watch-channel.ts';

export class MemoryChannel implements WatchChannel {
  needsSigns = false;
  messages: string[] = [];
  closed: string | null = null;
  has: Room = 'free';
  changes = 0;

  send(message: string): void {
    this.messages.push(message);
  }
  room(): Room {
    return this.has;
  }
  close({ kind }: Closing): void {
    this.closed = kind;
  }
  holds(): boolean {
    return true;
  }
  changed(): void {
    this.changes++;
  }

  /** The messages since the last call. */
  taken(): string[] {
    const { messages } = this;
    this.messages = [];
    return messages;
  }
}

export function header(revision: number): ResponseHeader {
  return { clusterId: '1', memberId: '2', raftTerm: 3, revision };
}
