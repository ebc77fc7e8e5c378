// `fetch` for tests of a started server: every answer of the service is checked against the OpenAPI document.

import { answerFaults } from './openapi-checker.ts';

export async function checkedFetch(url: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(url, init);
  const faults = await answerFaults({ method: init.method ?? 'GET', path: new URL(url).pathname }, response);
  if (faults.length > 0) throw new Error(`API-DOC-6: ${faults.join('\n')}`);
  return response;
}
