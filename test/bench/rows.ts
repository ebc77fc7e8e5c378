// The rows of the table: what is measured, and the ratio to etcd that is aimed at, in the same run. A row is left out
// for a side that cannot be measured so (etcd's tool is not on PATH, the system does not tell memory).

import { failoverAfter } from './failover-work.ts';
import { httpWork, median, p99, rate } from './http-works.ts';
import { createdObjects } from './objects-work.ts';
import { sessionWork } from './session-work.ts';
import { eventsOfConnections, eventsOfSessions, memoryOfIdleWatchers } from './watch-works.ts';
import type { Row, Unit, Work } from './work.ts';

const many = 64;
const listConnections = 16;
/** A list of 500 each 50 ms. */
const listsBeside = { operation: 'shortList', connections: 4, perSecondEach: 5 } as const;

export const works: readonly Work[] = [
  httpWork({ operation: 'get', connections: many }, [
    { ...row('get-64', '/s', 'HTTP linearizable get, 64 connections', 'at least 1.6×, goal 2.2×'), of: rate },
    { ...row('get-64-p99', 'ms', '… its p99', 'no worse, goal half'), of: p99 },
  ]),
  httpWork({ operation: 'put', connections: many }, [
    { ...row('put-64', '/s', 'HTTP put, 64 connections, 100 B, 2,000 keys', 'at least 1.2×, goal 1.6×'), of: rate },
    { ...row('put-64-p99', 'ms', '… its p99', 'no worse, goal half'), of: p99 },
  ]),
  httpWork({ operation: 'putMany', connections: many }, [
    { ...row('put-64-many', '/s', 'HTTP put, 64 connections, 100,000 keys', 'at least 1.1×, goal 1.4×'), of: rate },
  ]),
  httpWork({ operation: 'putLarge', connections: many }, [
    { ...row('put-64-1k', '/s', 'HTTP put, 64 connections, 1 KB, 2,000 keys', 'at least 1×, goal 1.3×'), of: rate },
  ]),
  httpWork({ operation: 'swap', connections: many }, [
    { ...row('swap-64', '/s', 'HTTP txn, compare and swap, 64 connections', 'at least 1.2×, goal 1.6×'), of: rate },
  ]),
  httpWork({ operation: 'mixed', connections: many }, [
    {
      ...row('mixed-64', '/s', 'HTTP 90 % get, 10 % put, 100,000 keys, 64 connections', 'at least 1.2×, goal 1.8×'),
      of: rate,
    },
  ]),
  httpWork({ operation: 'put', connections: many, beside: listsBeside }, [
    {
      ...row(
        'put-lists',
        '/s',
        'HTTP put, 64 connections, beside 20 lists of 500 a second',
        'at least 1.2×, goal 1.8×',
      ),
      of: rate,
    },
  ]),
  httpWork({ operation: 'list', connections: listConnections }, [
    {
      ...row(
        'list',
        '/s',
        `HTTP serializable list of 1,000 of 100,000 keys, ${listConnections} connections`,
        'at least 1×, goal 2×',
      ),
      of: rate,
    },
  ]),
  httpWork({ operation: 'get', connections: 1 }, [
    { ...row('get-1', 'ms', 'HTTP linearizable get, 1 connection, median', 'at most 1.3×, goal no worse'), of: median },
  ]),
  httpWork({ operation: 'put', connections: 1 }, [
    { ...row('put-1', 'ms', 'HTTP put, 1 connection, median', 'at most 1.5×, goal no worse'), of: median },
  ]),
  sessionWork(
    { operation: 'range', inFlight: 256 },
    row(
      'session-get',
      '/s',
      'session linearizable get, 256 in flight, against gRPC, 256 clients',
      'at least 2×, goal 3×',
    ),
  ),
  sessionWork(
    { operation: 'put', inFlight: 256 },
    row('session-put', '/s', 'session put, 256 in flight, against gRPC, 256 clients', 'at least 1×, goal 2×'),
  ),
  eventsOfSessions([
    row(
      'session-event-p50',
      'ms',
      'put to event, 1,000 watchers on 10 sessions, against 10 gRPC streams, 50 put/s, p50',
      'at most 1.5×, goal no worse',
    ),
    row('session-event-p99', 'ms', '… p99', 'at most 1.5×, goal no worse'),
  ]),
  eventsOfConnections([
    row('event-p50', 'ms', 'put to event, 1,000 WebSockets of /v1/watch, 50 put/s, p50', ''),
    row('event-p99', 'ms', '… p99', 'at most 90 ms, goal 40'),
  ]),
  memoryOfIdleWatchers(
    row(
      'idle-watchers',
      'MiB',
      '5,000 WebSockets on one key that do nothing: memory of all processes',
      'at most 600, goal 350',
    ),
  ),
  createdObjects([
    row('objects', '/s', '200,000 objects of 1 KB, created by txn of 50', 'at least 5,000/s, goal 10,000/s'),
    row('objects-memory', 'MiB', '… memory of all processes', 'at most 500, goal 350'),
    row('objects-disk', 'MiB', '… disk of each replica', 'at most 320'),
  ]),
  failoverAfter('abort', [
    row('failover-crash', 'ms', 'session put after the crash of the leader, median', 'no slower than over HTTP'),
    row('failover-crash-worst', 'ms', '… the worst', ''),
    row('failover-crash-http', 'ms', '… over HTTP, median', ''),
  ]),
  failoverAfter('slow', [
    row('failover-hang', 'ms', 'session put after the leader hangs, median', 'no slower than over HTTP'),
    row('failover-hang-worst', 'ms', '… the worst', ''),
    row('failover-hang-http', 'ms', '… over HTTP, median', ''),
  ]),
];

export const rowIds: readonly string[] = works.flatMap(({ rows }) => rows.map(({ id }) => id));

function row(id: string, unit: Unit, title: string, target: string): Row {
  return { id, unit, title, target };
}
