// The first call by an access key, which nobody made: the front asks who calls by the key. From the answer it learns
// that the gateway takes the key, as from that of any call.

import { requestTimeoutMs } from '../limits.ts';
import type { KnownCallers } from './known-callers.ts';
import { ListedHeaders } from './request-headers.ts';
import type { Upstream } from './upstream.ts';

/** The status of the answer. Null: there was none. */
export function introduce(upstream: Upstream, callers: KnownCallers, key: string): Promise<number | null> {
  const credentials = ['Quorate-Key', key];
  const head = `GET /v1/whoami HTTP/1.1\r\n${upstream.hostLine}Quorate-Key: ${key}\r\n\r\n`;
  return new Promise((resolve) => {
    let status: number | null = null;
    const over = (): void => {
      clearTimeout(timer);
      resolve(status);
    };
    const call = upstream.call('GET', head, {
      continues: () => undefined,
      answers: (answer) => {
        ({ status } = answer);
        callers.answered(new ListedHeaders(credentials), status);
      },
      receives: (_, isWhole) => {
        if (isWhole) over();
      },
      upgrades: (_, socket) => {
        socket.destroy();
        over();
      },
      drained: () => undefined,
      failed: over,
    });
    const timer = setTimeout(() => {
      call.abort();
      over();
    }, requestTimeoutMs);
    call.sent();
  });
}
