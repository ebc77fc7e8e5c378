// Commands as a log entry holds them. The first byte is the version. An entry of an unknown version must not be
// skipped, so decoding throws, and the replica halts.

import { unreachable } from '../../base/assert.ts';
import { BinaryReader, BinaryWriter, MalformedBytesError } from '../../base/binary.ts';
import { groupLevel, groupLevelMax, groupLevelMin, isKnownLevel } from '../../model/levels.ts';
import { readPut, writePut } from '../../model/codec/put-codec.ts';
import { readDeleteRange, readTxn, txnBytes, writeDeleteRange, writeTxn } from '../../model/codec/txn-codec.ts';
import type { Caller, Command, Operation, SentCommand } from '../../model/store.ts';
import {
  accessKeyBytes,
  hasMorePrefixes,
  readAccessKey,
  readNamedAccessKey,
  readPrefixedAccessKey,
  writeAccessKey,
  writeNamedAccessKey,
  writePrefixedAccessKey,
} from './access-key-codec.ts';
import {
  administrationBytes,
  administrationCodeOf,
  isAdministration,
  entryVersionOf,
  readAdministration,
  writeAdministration,
} from './administration-codec.ts';

/** A newer version wrote the entry: this replica cannot apply it and must not go on. */
export class UnknownCommandVersion extends Error {
  override readonly name = 'UnknownCommandVersion';
}

/**
 * Version 2 added leases, users and roles, alarms, and callers with tokens. Version 3 added the group's level, and ends
 * of leases that name deadlines. Version 4, for groups of level 3, added digests. Version 5, for groups of level 4,
 * added names of access keys, their rotation, and suspension. Version 6, for groups of level 5, added the terms of a
 * tenant. Version 7, for groups of level 6, added access keys of several prefixes. Version 8, for groups
 * of level 7, added how many writes the senders had seen. An entry is written in the first version that has everything
 * it needs.
 */
export const commandsVersion = 8;
const seventhVersion = 7;
const sixthVersion = 6;
const fifthVersion = 5;
const fourthVersion = 4;
const thirdVersion = 3;
const secondVersion = 2;
const firstVersion = 1;

const operationCode = {
  put: 0,
  deleteRange: 1,
  txn: 2,
  compact: 3,
  createAccessKey: 4,
  revokeAccessKey: 5,
  // The numbers between are those of `administration-codec.ts`.
  createNamedAccessKey: 30,
  createPrefixedAccessKey: 32,
} as const;
const callerCode = { service: 0, accessKey: 1, user: 2, anonymous: 3, anonymousWithBadToken: 4 } as const;

export function encodeCommands(commands: readonly Command[]): Uint8Array {
  let expected = 8;
  for (const command of commands) expected += commandBytes(command);
  const writer = new BinaryWriter(expected);
  const version = commands.reduce((newest, command) => Math.max(newest, versionOf(command)), firstVersion);
  writer.byte(version);
  writer.varint(commands.length);
  for (const command of commands) {
    writeCommand(writer, command);
    if (version >= fourthVersion) writeDigest(writer, command.digest);
    // 0: the sender does not count.
    if (version >= commandsVersion) writer.varint(command.seen === undefined ? 0 : command.seen + 1);
  }
  return writer.finish();
}

/**
 * Keys and values are views into `bytes`. @throws UnknownCommandVersion, or MalformedBytesError where the bytes are not
 * those of `encodeCommands`.
 */
export function decodeCommands(bytes: Uint8Array): Command[] {
  const reader = new BinaryReader(bytes);
  const version = reader.byte();
  if (version < firstVersion || version > commandsVersion) {
    throw new UnknownCommandVersion(`commands of version ${version}; known are up to ${commandsVersion}`);
  }
  const commands: Command[] = [];
  const count = reader.count();
  for (let read = 0; read < count; read++) {
    const command = readCommand(reader);
    checkVersion(command.operation, version);
    const digest = version >= fourthVersion && reader.boolean() ? BigInt.asUintN(64, reader.signed64()) : null;
    const seen = version >= commandsVersion ? reader.varint() - 1 : -1;
    const digested = digest === null ? command : { ...command, digest };
    commands.push(seen < 0 ? digested : { ...digested, seen });
  }
  reader.end();
  return commands;
}

/** The first version of entries that has such a command. */
function versionOf({ caller, operation, digest, seen }: Command): number {
  if (seen !== undefined) return commandsVersion;
  const ofCaller = caller.kind === 'service' || caller.kind === 'accessKey' ? firstVersion : secondVersion;
  return Math.max(ofCaller, versionOfOperation(operation), digest === undefined ? firstVersion : fourthVersion);
}

/** The level that a group must have for the operation to be in its log. */
export function levelNeeded(operation: Operation): number {
  const version = versionOfOperation(operation);
  if (version > sixthVersion) return groupLevel.sixth;
  if (version > fifthVersion) return groupLevel.fifth;
  return version > fourthVersion ? groupLevel.fourth : groupLevelMin;
}

function versionOfOperation(operation: Operation): number {
  if (isAdministration(operation)) return entryVersionOf(operation);
  const code = codeOf(operation);
  if (code === operationCode.createPrefixedAccessKey) return seventhVersion;
  return code === operationCode.createNamedAccessKey ? fifthVersion : firstVersion;
}

/** An unknown level is as bad as an unknown version: the log after it means something else. */
function checkVersion(operation: Operation, version: number): void {
  const needed = versionOfOperation(operation);
  if (needed >= thirdVersion && version < needed) {
    throw new MalformedBytesError(`${operation.kind} in an entry of version ${version}`);
  }
  if (operation.kind === 'groupLevel' && !isKnownLevel(operation.level)) {
    const known = `known are ${groupLevelMin} to ${groupLevelMax}`;
    throw new UnknownCommandVersion(`the group's level becomes ${operation.level}; ${known}`);
  }
}

const digestBytesMax = 9;
const seenBytesMax = 8;

/** The most bytes that a command takes in an entry, for filling entries. An entry itself takes 8 more. */
export function commandBytes(command: SentCommand): number {
  return (
    16 +
    digestBytesMax +
    seenBytesMax +
    textBytesMax(command.writeId) +
    callerBytes(command.caller) +
    operationBytes(command.operation)
  );
}

function callerBytes(caller: Caller): number {
  if (caller.kind === 'service') return 0;
  return textBytesMax(caller.id) + (caller.kind === 'user' ? 8 + textBytesMax(caller.name) : 0);
}

/** A character of JavaScript is at most three bytes of UTF-8. */
function textBytesMax(text: string): number {
  return 8 + text.length * 3;
}

function operationBytes(operation: Operation): number {
  if (isAdministration(operation)) return administrationBytes(operation);
  switch (operation.kind) {
    case 'put':
      return 32 + operation.request.key.byteLength + operation.request.value.byteLength;
    case 'deleteRange':
      return 32 + operation.request.key.byteLength + operation.request.rangeEnd.byteLength;
    case 'txn':
      return 8 + txnBytes(operation.request);
    case 'compact':
      return 16;
    case 'createAccessKey':
      return accessKeyBytes(operation.accessKey);
    case 'revokeAccessKey':
      return 8 + textBytesMax(operation.id);
    default:
      return unreachable(operation);
  }
}

function writeCommand(writer: BinaryWriter, command: Command): void {
  writer.text(command.writeId);
  writeCaller(writer, command.caller);
  writer.float(command.atMs);
  writer.byte(codeOf(command.operation));
  writeOperation(writer, command.operation);
}

function writeDigest(writer: BinaryWriter, digest: bigint | undefined): void {
  writer.boolean(digest !== undefined);
  if (digest !== undefined) writer.signed64(BigInt.asIntN(64, digest));
}

function codeOf(operation: Operation): number {
  if (isAdministration(operation)) return administrationCodeOf(operation);
  if (operation.kind !== 'createAccessKey') return operationCode[operation.kind];
  if (hasMorePrefixes(operation.accessKey)) return operationCode.createPrefixedAccessKey;
  return operation.accessKey.name === '' ? operationCode.createAccessKey : operationCode.createNamedAccessKey;
}

function readCommand(reader: BinaryReader): Command {
  const writeId = reader.text();
  const caller = readCaller(reader);
  const atMs = reader.float();
  return { writeId, caller, atMs, operation: readOperation(reader, reader.byte()) };
}

function writeCaller(writer: BinaryWriter, caller: Caller): void {
  switch (caller.kind) {
    case 'service':
      writer.byte(callerCode.service);
      return;
    case 'accessKey':
      writer.byte(callerCode.accessKey);
      writer.text(caller.id);
      return;
    case 'user':
      writer.byte(callerCode.user);
      writer.text(caller.id);
      writer.text(caller.name);
      writer.varint(caller.authRevision);
      return;
    case 'anonymous':
      writer.byte(caller.token === 'none' ? callerCode.anonymous : callerCode.anonymousWithBadToken);
      writer.text(caller.id);
      return;
    default:
      unreachable(caller);
  }
}

function readCaller(reader: BinaryReader): Caller {
  const code = reader.byte();
  switch (code) {
    case callerCode.service:
      return { kind: 'service' };
    case callerCode.accessKey:
      return { kind: 'accessKey', id: reader.text() };
    case callerCode.user:
      return { kind: 'user', id: reader.text(), name: reader.text(), authRevision: reader.varint() };
    case callerCode.anonymous:
      return { kind: 'anonymous', id: reader.text(), token: 'none' };
    case callerCode.anonymousWithBadToken:
      return { kind: 'anonymous', id: reader.text(), token: 'invalid' };
    default:
      throw new MalformedBytesError(`a caller of kind ${code}`);
  }
}

function writeOperation(writer: BinaryWriter, operation: Operation): void {
  if (isAdministration(operation)) return writeAdministration(writer, operation);
  switch (operation.kind) {
    case 'put':
      writePut(writer, operation.request);
      return;
    case 'deleteRange':
      writeDeleteRange(writer, operation.request);
      return;
    case 'txn':
      writeTxn(writer, operation.request);
      return;
    case 'compact':
      writer.float(operation.request.revision);
      return;
    case 'createAccessKey':
      if (hasMorePrefixes(operation.accessKey)) writePrefixedAccessKey(writer, operation.accessKey);
      else if (operation.accessKey.name === '') writeAccessKey(writer, operation.accessKey);
      else writeNamedAccessKey(writer, operation.accessKey);
      return;
    case 'revokeAccessKey':
      writer.text(operation.id);
      return;
    default:
      unreachable(operation);
  }
}

function readOperation(reader: BinaryReader, code: number): Operation {
  switch (code) {
    case operationCode.put:
      return { kind: 'put', request: readPut(reader) };
    case operationCode.deleteRange:
      return { kind: 'deleteRange', request: readDeleteRange(reader) };
    case operationCode.txn:
      return { kind: 'txn', request: readTxn(reader) };
    case operationCode.compact:
      return { kind: 'compact', request: { revision: reader.float() } };
    case operationCode.createAccessKey:
      return { kind: 'createAccessKey', accessKey: readAccessKey(reader) };
    case operationCode.createNamedAccessKey:
      return { kind: 'createAccessKey', accessKey: readNamedAccessKey(reader) };
    case operationCode.createPrefixedAccessKey:
      return { kind: 'createAccessKey', accessKey: readPrefixedAccessKey(reader) };
    case operationCode.revokeAccessKey:
      return { kind: 'revokeAccessKey', id: reader.text() };
    default:
      return readAdministration(reader, code);
  }
}
