// Reads a request to the fault port. A member that is missing, wrong or unknown is refused by name.

import { unreachable } from '../../base/assert.ts';
import type { Fault, FaultRequest, FaultTarget, PeerDirection } from './fault-protocol.ts';

/** The numbers of a group grow each time that a replica is replaced. This bound refuses nonsense. */
const replicaNumberMax = 1_000_000;
/** This is longer than any time-out of the service, so a call that takes it is as good as lost. */
const delayMsMax = 60_000;

export type ParsedFault =
  | { readonly kind: 'fault'; readonly request: FaultRequest }
  | { readonly kind: 'invalid'; readonly reason: string };

export const faultKinds = ['abort', 'peers', 'slow', 'wipe'] as const satisfies readonly Fault['kind'][];

const membersOf: Readonly<Record<Fault['kind'], readonly string[]>> = {
  abort: [],
  wipe: [],
  peers: ['fail', 'delay_ms', 'direction'],
  slow: ['delay_ms'],
};
const directions: readonly unknown[] = ['in', 'out', 'both'] satisfies readonly PeerDirection[];

/** `body` is the JSON of a request to `POST /<kind>`. */
export function parseFault(kind: Fault['kind'], body: string): ParsedFault {
  const members = parseMembers(body);
  const unknown = [...members.keys()].find(
    (name) => name !== 'tenant' && name !== 'replica' && !membersOf[kind].includes(name),
  );
  if (unknown !== undefined) return invalid(`/${kind} does not take "${unknown.slice(0, 64)}"`);
  const tenant = members.get('tenant');
  if (typeof tenant !== 'string' || !/^[a-z0-9]{1,32}$/.test(tenant)) {
    return invalid('"tenant" must be the id of a tenant');
  }
  const replica = members.get('replica');
  if (!isTarget(replica)) return invalid('"replica" must be a number from 1, "leader" or "all"');
  const fault = readFault(kind, members);
  return typeof fault === 'string' ? invalid(fault) : { kind: 'fault', request: { tenant, replica, fault } };
}

/** The JSON that `parseFault` reads. */
export function faultBody({ tenant, replica, fault }: FaultRequest): string {
  const target = { tenant, replica };
  switch (fault.kind) {
    case 'abort':
    case 'wipe':
      return JSON.stringify(target);
    case 'peers': {
      const { direction, fail, delayMs } = fault;
      return JSON.stringify({ ...target, direction, fail, delay_ms: delayMs });
    }
    case 'slow':
      return JSON.stringify({ ...target, delay_ms: fault.delayMs });
    default:
      return unreachable(fault);
  }
}

/** A string is the sentence that says what is wrong. */
function readFault(kind: Fault['kind'], members: ReadonlyMap<string, unknown>): Fault | string {
  const delayMs = members.get('delay_ms') ?? 0;
  if (!isFrom0To(delayMs, delayMsMax)) return `"delay_ms" must be a number from 0 to ${delayMsMax}`;
  switch (kind) {
    case 'abort':
    case 'wipe':
      return { kind };
    case 'slow':
      return members.has('delay_ms') ? { kind, delayMs } : '"delay_ms" is missing';
    case 'peers': {
      const fail = members.get('fail') ?? 0;
      const direction = members.get('direction') ?? 'both';
      if (!isFrom0To(fail, 1)) return '"fail" must be a number from 0 to 1';
      if (!isDirection(direction)) return '"direction" must be "in", "out" or "both"';
      if (!members.has('fail') && !members.has('delay_ms')) return '"fail" and "delay_ms" are both missing';
      return { kind, direction, fail, delayMs };
    }
    default:
      return unreachable(kind);
  }
}

function isTarget(value: unknown): value is FaultTarget {
  if (value === 'leader' || value === 'all') return true;
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= replicaNumberMax;
}

function isDirection(value: unknown): value is PeerDirection {
  return directions.includes(value);
}

function isFrom0To(value: unknown, max: number): value is number {
  return typeof value === 'number' && value >= 0 && value <= max;
}

/** The map is empty where the text is no JSON object. */
export function parseMembers(body: string): Map<string, unknown> {
  try {
    const value: unknown = JSON.parse(body);
    return new Map(typeof value === 'object' && value !== null ? Object.entries(value) : []);
  } catch {
    return new Map();
  }
}

function invalid(reason: string): ParsedFault {
  return { kind: 'invalid', reason };
}
