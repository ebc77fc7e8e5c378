// Ports of loopback that nobody listens on at the moment.

import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

/**
 * All ports are held until all are known, so that they differ. Another process may still take one before it is used.
 */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    // A server that listens on TCP has an address of this shape.
    ports.push((server.address() as AddressInfo).port);
  }
  for (const server of servers) {
    server.close();
    await once(server, 'close');
  }
  return ports;
}
