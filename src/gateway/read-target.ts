// Which replica a read or a watch is meant for: the caller's choice (`Quorate-Read`), and where it is.

import type { Endpoint } from '../api/endpoint.ts';
import { readHeader } from '../api/forwarded.ts';
import { type Point, pointOf } from '../tenants/nearness.ts';

/**
 * Whoever is nearest to the reader; where that is not known (null), a follower: it is no further away than the leader.
 */
export type Reader = { readonly point: Point | null };

export type ReadTarget = { readonly kind: 'leader' } | { readonly kind: 'nearest'; readonly reader: Reader };

const toLeader: ReadTarget = { kind: 'leader' };

/** null: the header says something else than `leader` or `nearest`. */
export function readTargetOf(request: Request, query: string, endpoint: Endpoint): ReadTarget | null {
  const choice = request.headers.get(readHeader);
  if (choice !== null && choice !== 'leader' && choice !== 'nearest') return null;
  const { servedBy } = endpoint;
  if (choice === 'leader' || servedBy === 'leader') return toLeader;
  if (choice === null && servedBy === 'leaderOrNearest' && !isSerializable(endpoint, query)) return toLeader;
  const { cf } = request;
  const point = pointOf({ continent: cf?.['continent'], latitude: cf?.['latitude'], longitude: cf?.['longitude'] });
  // Nobody asked for another replica than the leader, and none is known to be nearer.
  return choice === null && point === null ? toLeader : { kind: 'nearest', reader: { point } };
}

/** Of v1's reads it stands in the query; of v3's in the body, which is not looked at here. */
function isSerializable({ protocol }: Endpoint, query: string): boolean {
  return protocol === 'v1' && query.includes('consistency=serializable');
}
