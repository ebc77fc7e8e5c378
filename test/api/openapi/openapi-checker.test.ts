// Tests of the checker that every answer of the tests in workerd must pass: it must find what is not in the document.

import { describe, expect, it } from 'vitest';
import { answerFaults, frameFaults } from '../../support/openapi-checker.ts';

const put = { method: 'PUT', path: '/v1/kv/a/b' };
const written = '{"revision":5,"create_revision":5,"mod_revision":5,"version":1}';
const json = { 'content-type': 'application/json' };

function faults(asked: { method: string; path: string }, status: number, body: string | null, headers = {}) {
  return answerFaults(asked, new Response(body, { status, headers }));
}

describe('answers and the document', () => {
  it('API-DOC-6: an answer that the document describes passes', async () => {
    expect(await faults(put, 200, written, { ...json, etag: '"5"', 'Quorate-Revision': '5' })).toEqual([]);
    const problem = '{"type":"urn:quorate:problem:x","title":"X","status":412,"detail":"x","mod_revision":null}';
    const type = { 'content-type': 'application/problem+json' };
    expect(await faults(put, 412, problem, { ...type, etag: '"5"' })).toEqual([]);
    expect(await faults({ method: 'DELETE', path: '/v1/tenants/t' }, 204, null)).toEqual([]);
    expect(await faults({ method: 'HEAD', path: '/v1/kv/a' }, 404, null, type)).toEqual([]);
    expect(await faults({ method: 'GET', path: '/nowhere' }, 404, 'x')).toEqual([]);
    expect(
      frameFaults({ type: 'events', revision: 5, events: [{ type: 'delete', kv: { key: 'a', mod_revision: 5 } }] }),
    ).toEqual([]);
  });

  it('API-DOC-6: a status, a header, a type, a member or a path that is not in it is found', async () => {
    const found: [Promise<string[]>, RegExp][] = [
      [faults(put, 202, written, json), /status 202 of PUT/],
      [faults(put, 200, written, { ...json, 'quorate-secret': 'x' }), /header quorate-secret/],
      [faults(put, 200, written, { 'content-type': 'text/html' }), /"text\/html"/],
      [faults(put, 200, '{"revision":5}', json), /create_revision/],
      [faults(put, 200, written.replace('}', ',"more":1}'), json), /more/],
      [faults(put, 200, written.replace('5', '"5"'), json), /revision/],
      [faults(put, 200, 'ok', json), /not JSON/],
      [faults({ method: 'GET', path: '/nowhere' }, 200, 'x'), /nowhere is not in the document/],
      [faults({ method: 'POST', path: '/v1/kv/a' }, 200, 'x'), /status 200 of POST/],
      [faults({ method: 'GET', path: '/v1/status' }, 200, '{"leader":1}', json), /term/],
    ];
    for (const [faultsFound, text] of found) expect((await faultsFound).join('\n')).toMatch(text);
    expect(frameFaults({ type: 'event', revision: 5 }).join()).toContain('type');
    expect(frameFaults({ type: 'progress', revision: 5, extra: 1 })).not.toEqual([]);
  });
});
