// What a client may name as the host that it calls.

import { expect, it } from 'vitest';
import { isHost } from '../../src/api/request-target.ts';

it.each([
  'localhost',
  'localhost:8787',
  'a.example',
  'a_b.example:',
  '127.0.0.1:80',
  '[::1]',
  '[::1]:65535',
  '-',
  'a,b',
])('API-HOST-1: %s is a host', (host) => {
  expect([isHost(host), isHost(host)]).toEqual([true, true]);
  expect(URL.canParse(`http://${host}/`)).toBe(true);
});

const none = [
  '',
  ' ',
  'a b',
  '[',
  '[::1',
  '[g]',
  'x:65536',
  'x:99999',
  'x:abc',
  ':80',
  'a/b',
  'a\\b',
  'a@b',
  'a?b',
  'a#b',
];
const noName = ['\u00e9.example', '%zz', 'a%20b', '999.1.1.1', '1.2.3.4.5', 'a, b', 'a:1:2', '\0'];

it.each([...none, ...noName])('API-HOST-1: %j is none', (host) => {
  expect(isHost(host)).toBe(false);
});
