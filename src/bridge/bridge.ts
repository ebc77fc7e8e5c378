// A bridge: the front in front of a service elsewhere, bound to one access key. It says when the service cannot be
// reached and when it is there again, and asks for it meanwhile, so that gRPC's health is true without any call.

import { bridgeProbeMs, bridgeProbeMsMax } from '../limits.ts';
import { Front } from '../front/front.ts';
import { urlOfPort } from '../front/port.ts';
import { PortTls, type TlsFiles } from '../front/port-tls.ts';
import { type BridgeOptions, WrongOption } from './options.ts';

export type RunningBridge = { readonly url: string; readonly close: () => Promise<void> };

/**
 * `say` is given lines for whoever runs the bridge. @throws WrongOption, or where the address cannot be listened on, as
 * node:net does.
 */
export async function startBridge(
  { to, key, listen, ca, tls: files }: Pick<BridgeOptions, 'to' | 'key' | 'listen' | 'ca' | 'tls'>,
  say: (line: string) => void,
): Promise<RunningBridge> {
  const tls = files === null ? null : tlsOf(files, say);
  const front = await Front.listen({ ...listen, key, ...(tls === null ? {} : { tls }) });
  const isSecure = to.protocol === 'https:';
  const service = new ServiceHealth(front, key, say);
  front.open({
    host: to.hostname.replace(/^\[|\]$/g, ''),
    port: Number(to.port === '' ? (isSecure ? 443 : 80) : to.port),
    service: { authority: to.host, tls: isSecure ? { ca } : null, failed: (fault) => service.failed(fault) },
  });
  service.ask();
  return {
    url: urlOfPort(tls === null ? 'http' : 'https', listen.host, front.port),
    close: () => {
      service.close();
      tls?.close();
      return front.close();
    },
  };
}

function tlsOf(files: TlsFiles, say: (line: string) => void): PortTls {
  try {
    return new PortTls(files, say);
  } catch (error) {
    throw new WrongOption(error instanceof Error ? error.message : String(error));
  }
}

class ServiceHealth {
  readonly #front: Front;
  readonly #key: string;
  readonly #say: (line: string) => void;
  /** Why the service cannot be reached. Null: it was reached, as far as is known. */
  #fault: string | null = null;
  #lastFault = '';
  #isRefused = false;
  #waits = 0;
  /** Null: the service is being asked, or need not be. */
  #timer: NodeJS.Timeout | null = null;
  #isAsking = false;
  #isClosed = false;

  constructor(front: Front, key: string, say: (line: string) => void) {
    this.#front = front;
    this.#key = key;
    this.#say = say;
  }

  /** A connection that ended says little by itself, so the service is asked. */
  failed({ message, name }: Error): void {
    this.#lastFault = message === '' ? name : message;
    if (!this.#isAsking && this.#timer === null && !this.#isClosed) this.ask();
  }

  ask(): void {
    this.#isAsking = true;
    this.#lastFault = 'it does not answer';
    void this.#front.introduce(this.#key).then((status) => {
      this.#isAsking = false;
      if (this.#isClosed) return;
      if (status === null) this.#isAway(this.#lastFault);
      else if (status >= 500 || status === 429) this.#isAway(`it answers with HTTP ${status}`);
      else this.#isThere(status);
    });
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #isAway(fault: string): void {
    if (this.#fault === null) this.#say(`the service cannot be reached: ${fault}`);
    this.#fault ??= fault;
    this.#front.serving.set(false);
    const delayMs = Math.min(bridgeProbeMs * 2 ** this.#waits++, bridgeProbeMsMax);
    // Bridges that lost their service at one moment ask at different ones.
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        this.ask();
      },
      delayMs * (0.5 + Math.random() / 2),
    );
  }

  #isThere(status: number): void {
    if (this.#fault !== null) this.#say('the service is reached again');
    this.#fault = null;
    this.#waits = 0;
    const isRefused = status >= 400;
    if (isRefused && !this.#isRefused) this.#say(`the service refuses the access key, with HTTP ${status}`);
    this.#isRefused = isRefused;
    this.#front.serving.set(true);
  }
}
