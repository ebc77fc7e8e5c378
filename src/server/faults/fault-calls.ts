// The calls by which the server's process has its Worker do a fault to one object.

import type { ObjectFaults } from './fault-port.ts';
import { type FaultsSet, faultPath, faultTokenHeader } from './fault-protocol.ts';
import { faultBody } from './fault-request.ts';

export function objectFaults(workerUrl: URL, token: string): ObjectFaults {
  const headers = { [faultTokenHeader]: token };
  const address = (name: 'kind' | 'object', value: string): URL =>
    new URL(`${faultPath}?${name}=${encodeURIComponent(value)}`, workerUrl);
  return {
    async doFault(request) {
      const { tenant, replica, fault } = request;
      const response = await fetch(address('kind', fault.kind), { method: 'POST', headers, body: faultBody(request) });
      const text = await response.text();
      if (response.status !== 204) throw new Error(`${fault.kind} of ${tenant}/${replica} failed: ${text}`);
    },
    async faultsOf({ tenant, replica }) {
      const response = await fetch(address('object', `${tenant}/${replica}`), { headers });
      const text = await response.text();
      if (!response.ok) throw new Error(`the faults of ${tenant}/${replica} are not known: ${text}`);
      // The answer needs no check: the Worker is bundled from the same source as this file.
      return JSON.parse(text) as FaultsSet;
    },
  };
}
