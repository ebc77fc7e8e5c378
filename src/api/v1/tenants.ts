// The bodies of the operator's calls on tenants and keys. This file only parses them; the gateway answers the calls.

import {
  accessKeyLifeSecondsMax,
  accessKeyNameCharactersMax,
  accessKeyOverlapSecondsMax,
  accessKeyPrefixesBytesMax,
  accessKeyPrefixesMax,
  deletionPeriodSecondsMax,
  deletionPeriodSecondsMin,
  keyBytesMax,
  labelCharactersMax,
  labelsMax,
  planNameCharactersMax,
  tenantNameCharactersMax,
} from '../../limits.ts';
import { compareBytes, emptyBytes, keyText } from '../../base/bytes.ts';
import {
  jurisdictions,
  locationHints,
  type LocationHint,
  type Placement,
  type ReplicaCount,
  replicaCounts,
} from '../../model/locations.ts';
import type { AccessRole } from '../../model/store.ts';
import { type Fields, parseObject } from './fields.ts';
import { type ChangedTerms, readLimits, readRetention } from './limits.ts';
import { flagParameter, integerParameter, parseQuery } from './parameters.ts';
import { bad, type Parsed, parsed } from './parsed.ts';

const replicasDefault: ReplicaCount = 3;

export type Labels = Readonly<Record<string, string>>;
export type TenantCreation = {
  readonly name: string;
  readonly labels: Labels;
  /** Null: none is named. */
  readonly plan: string | null;
  readonly replicas: ReplicaCount;
  readonly placement: Placement;
};

/**
 * What one call may change of a tenant. A member that is null stays as it is, and labels take the place of all labels.
 * Replicas are changed by calls of their own.
 */
export type TenantChange = {
  readonly name: string | null;
  readonly labels: Labels | null;
  readonly state: 'ready' | 'suspended' | null;
  readonly plan: string | null;
  /** Its own limits, and how much history it keeps. */
  readonly terms: ChangedTerms;
};

/** `replaces` is the number of the replica that leaves once the new one votes; null: no replica leaves. */
export type ReplicaCreation = { readonly location: LocationHint | null; readonly replaces: number | null };

export type AccessKeyCreation = {
  /** Empty: the key has no name. */
  readonly name: string;
  readonly role: AccessRole;
  /** In their order. None: every key of the store. */
  readonly prefixes: readonly Uint8Array[];
  /** null where the key does not expire. */
  readonly expiresInSeconds: number | null;
};

export function parseTenantCreation(body: Uint8Array): Parsed<TenantCreation> {
  return parseObject(body, (fields) => {
    const replicas = readReplicas(fields);
    const labels = readLabels(fields) ?? {};
    return {
      name: readName(fields),
      labels,
      plan: readPlan(fields),
      replicas,
      placement: readPlacement(fields, replicas),
    };
  });
}

export function parseTenantChange(body: Uint8Array): Parsed<TenantChange> {
  return parseObject(body, (fields) => {
    const isRenamed = fields.has('name');
    fields.knows(['name', 'labels', 'state', 'plan', 'retention', 'limits']);
    const change = {
      name: isRenamed ? readName(fields) : null,
      labels: readLabels(fields),
      state: fields.choice('state', ['ready', 'suspended']) ?? null,
      plan: readPlan(fields),
      terms: { ...readRetention(fields), ...readLimits(fields) },
    };
    const isEmpty = !['name', 'labels', 'state', 'plan', 'retention', 'limits'].some((name) => fields.has(name));
    if (isEmpty) fields.missing('name, labels, state, plan, retention or limits');
    return change;
  });
}

/** A request without a body adds a replica, in a location where the group has none. */
export function parseReplicaCreation(body: Uint8Array): Parsed<ReplicaCreation> {
  if (body.byteLength === 0) return { kind: 'parsed', value: { location: null, replaces: null } };
  return parseObject(body, (fields) => ({
    location: fields.choice('location', locationHints) ?? null,
    replaces: fields.integer('replaces', { min: 1, max: replicaNumberMax }) ?? null,
  }));
}

/** How a tenant is deleted: it is kept for a while, or wiped at once. `seconds` null: the request names no number. */
export type TenantDeletion = { readonly kind: 'kept'; readonly seconds: number | null } | { readonly kind: 'wiped' };

export function parseTenantDeletion(query: string): Parsed<TenantDeletion> {
  const parameters = parseQuery(query, ['keep_for', 'force']);
  if (parameters.kind === 'bad') return parameters;
  const force = flagParameter(parameters.value, 'force');
  if (force.kind === 'bad') return force;
  const [min, max] = [deletionPeriodSecondsMin, deletionPeriodSecondsMax];
  const seconds = integerParameter(parameters.value, 'keep_for', { min, max });
  if (seconds.kind === 'bad') return seconds;
  if (!force.value) return parsed({ kind: 'kept', seconds: seconds.value });
  if (seconds.value === null) return parsed({ kind: 'wiped' });
  return bad('force wipes the tenant at once, and keep_for keeps it for a while: leave out one of them');
}

/** Whether the replica is to leave even where few voters stay. */
export function parseReplicaRemoval(query: string): Parsed<boolean> {
  const parameters = parseQuery(query, ['force']);
  return parameters.kind === 'bad' ? parameters : flagParameter(parameters.value, 'force');
}

export function parseAccessKeyCreation(body: Uint8Array): Parsed<AccessKeyCreation> {
  return parseObject(body, (fields) => {
    const role = fields.choice('role', ['admin', 'write', 'read']);
    if (!fields.has('role')) fields.missing('role');
    const prefixes = readPrefixes(fields);
    if (role === 'admin' && prefixes.length > 0) {
      fields.faults.add(
        'prefix does not bound a key of the role "admin", which commands the whole store: leave it out, or take the role "write"',
      );
    }
    const expiresInSeconds = fields.integer('expires_in', { min: 1, max: accessKeyLifeSecondsMax }) ?? null;
    return { name: readKeyName(fields), role: role ?? 'read', prefixes, expiresInSeconds };
  });
}

/** One prefix by itself may be empty, which is none. */
function readPrefixes(fields: Fields): readonly Uint8Array[] {
  const prefix = fields.bytes('prefix') ?? emptyBytes;
  const bytes = prefix.byteLength;
  if (bytes > keyBytesMax) fields.faults.add(`prefix has ${bytes} bytes; a prefix has at most ${keyBytesMax}`);
  const several = fields.bytesList('prefixes');
  if (several === undefined) return bytes === 0 ? [] : [prefix];
  if (fields.has('prefix') || fields.has('prefix_base64')) fields.faults.add('prefix and prefixes exclude each other');
  const distinct = new Map(several.map((each) => [keyText(each), each]));
  const all = [...distinct.values()].toSorted(compareBytes);
  const total = all.reduce((sum, each) => sum + each.byteLength, 0);
  if (several.length < 1 || several.length > accessKeyPrefixesMax || all.some((each) => each.byteLength === 0)) {
    fields.faults.add(`prefixes must hold 1 to ${accessKeyPrefixesMax} prefixes, none of them empty`);
  } else if (all.some((each) => each.byteLength > keyBytesMax) || total > accessKeyPrefixesBytesMax) {
    fields.faults.add(
      `prefixes have ${total} bytes; they have at most ${accessKeyPrefixesBytesMax} together, and each at most ${keyBytesMax}`,
    );
  }
  return all;
}

/** For how many seconds the key that is rotated can still be used. */
export function parseAccessKeyRotation(body: Uint8Array): Parsed<number> {
  return parseObject(body, (fields) => {
    if (!fields.has('overlap')) fields.missing('overlap');
    return fields.integer('overlap', { min: 0, max: accessKeyOverlapSecondsMax }) ?? 0;
  });
}

/** The numbers of replicas only grow, so this bound refuses nothing but nonsense. */
const replicaNumberMax = 1_000_000_000;
const nameForm = /^[a-z0-9-]+$/;
const labelKeyForm = /^[a-z0-9][a-z0-9._/-]*$/;

export function isLabelKey(key: string): boolean {
  return labelKeyForm.test(key) && key.length <= labelCharactersMax;
}

export function isLabelValue(value: string): boolean {
  return /^[^\p{Cc}\p{Cs}]*$/u.test(value) && value.length <= labelCharactersMax;
}

/** null: there are none in the body. */
function readLabels(fields: Fields): Labels | null {
  const value = fields.take('labels');
  if (value === undefined) return null;
  if (value === null || typeof value !== 'object' || value.kind !== 'object') {
    fields.faults.add('labels must be an object of strings');
    return null;
  }
  const labels: Record<string, string> = {};
  for (const [key, text] of value.members) {
    const at = `labels: "${key.slice(0, labelCharactersMax)}"`;
    if (!isLabelKey(key)) {
      fields.faults.add(
        `${at} must have 1 to ${labelCharactersMax} characters, each of a to z, 0 to 9, ".", "_", "/" or "-", and begin with a letter or a digit`,
      );
    } else if (typeof text !== 'string' || !isLabelValue(text)) {
      fields.faults.add(
        `${at} must be a string of at most ${labelCharactersMax} characters, none of them a control character`,
      );
    } else labels[key] = text;
  }
  if (value.members.size > labelsMax) {
    fields.faults.add(`labels has ${value.members.size} members; a tenant has at most ${labelsMax} labels`);
  }
  return labels;
}

/** People read it: control characters, and halves of characters, have no place in it. */
const keyNameForm = /^[^\p{Cc}\p{Cs}]+$/u;

function readKeyName(fields: Fields): string {
  if (!fields.has('name')) return '';
  const name = fields.text('name') ?? '';
  if (keyNameForm.test(name) && Array.from(name).length <= accessKeyNameCharactersMax) return name;
  fields.faults.add(`name must have 1 to ${accessKeyNameCharactersMax} characters, none of them a control character`);
  return '';
}

function readName(fields: Fields): string {
  const name = fields.text('name');
  if (!fields.has('name')) fields.missing('name');
  if (name === undefined || (name.length <= tenantNameCharactersMax && nameForm.test(name))) return name ?? '';
  fields.faults.add(`name must have 1 to ${tenantNameCharactersMax} characters, each of a to z, 0 to 9 or "-"`);
  return '';
}

export function isPlanName(name: string): boolean {
  return name.length <= planNameCharactersMax && nameForm.test(name);
}

/** null: none is named. */
function readPlan(fields: Fields): string | null {
  const name = fields.text('plan');
  if (name === undefined || isPlanName(name)) return name ?? null;
  fields.faults.add(`plan must have 1 to ${planNameCharactersMax} characters, each of a to z, 0 to 9 or "-"`);
  return null;
}

function readReplicas(fields: Fields): ReplicaCount {
  if (!fields.has('replicas')) return replicasDefault;
  const asked = fields.integer('replicas', { min: 1, max: 5 });
  const count = replicaCounts.find((known) => known === asked);
  if (count === undefined) fields.faults.add(`replicas must be one of ${replicaCounts.join(', ')}`);
  return count ?? replicasDefault;
}

function readPlacement(fields: Fields, replicas: ReplicaCount): Placement {
  const value = fields.take('placement');
  if (value === undefined) return { kind: 'automatic' };
  if (typeof value === 'string') {
    const jurisdiction = jurisdictions.find((known) => known === value);
    if (jurisdiction !== undefined) return { kind: 'jurisdiction', jurisdiction };
    fields.faults.add(`placement must be a list of locations or one of ${jurisdictions.join(', ')}`);
    return { kind: 'automatic' };
  }
  const hints = (fields.items('placement') ?? []).map((item) => locationHints.find((known) => known === item));
  const known = hints.filter((hint) => hint !== undefined);
  if (known.length < hints.length) fields.faults.add(`placement: locations are ${locationHints.join(', ')}`);
  if (hints.length < 1 || hints.length > replicas)
    fields.faults.add(`placement must hold 1 to ${replicas} locations, for as many replicas`);
  return { kind: 'hints', hints: known };
}
