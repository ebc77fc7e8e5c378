// Answers to queries of leases, users and roles, and alarms, in bytes.

import { unreachable } from '../base/assert.ts';
import { type BinaryReader, type BinaryWriter, MalformedBytesError } from '../base/binary.ts';
import { leaseId } from '../model/brands.ts';
import type { ClientQueryAnswer } from '../model/calls.ts';
import { callCode } from './call-codec.ts';

/** An answer begins with the byte of the call that asked for it. */
export function writeQueryAnswer(writer: BinaryWriter, answer: ClientQueryAnswer): void {
  writer.byte(callCode[answer.kind]);
  switch (answer.kind) {
    case 'timeToLive':
      writer.signed64(answer.id);
      writer.boolean(answer.lease !== null);
      if (answer.lease === null) return;
      writer.float(answer.lease.ttlSeconds);
      return writeList(writer, answer.lease.keys, (key) => writer.bytes(key));
    case 'keepAlive':
      writer.signed64(answer.id);
      writer.boolean(answer.ttlSeconds !== null);
      if (answer.ttlSeconds !== null) writer.float(answer.ttlSeconds);
      return;
    case 'leases':
      return writeList(writer, answer.ids, (id) => writer.signed64(id));
    case 'authStatus':
      writer.boolean(answer.enabled);
      return writer.varint(answer.authRevision);
    case 'userGet':
    case 'roleList':
      return writeList(writer, answer.roles, (role) => writer.text(role));
    case 'userList':
      return writeList(writer, answer.users, (user) => writer.text(user));
    case 'roleGet':
      return writeList(writer, answer.permissions, ({ type, key, rangeEnd }) => {
        writer.float(type);
        writer.bytes(key);
        writer.bytes(rangeEnd);
      });
    case 'alarms':
      return writeList(writer, answer.alarms, ({ memberId, alarm }) => {
        writer.signed64(BigInt.asIntN(64, memberId));
        writer.float(alarm);
      });
    default:
      unreachable(answer);
  }
}

export function readQueryAnswer(reader: BinaryReader): ClientQueryAnswer {
  const code = reader.byte();
  switch (code) {
    case callCode.timeToLive: {
      const id = leaseId(reader.signed64());
      if (!reader.boolean()) return { kind: 'timeToLive', id, lease: null };
      return {
        kind: 'timeToLive',
        id,
        lease: { ttlSeconds: reader.float(), keys: readList(reader, () => reader.bytes()) },
      };
    }
    case callCode.keepAlive:
      return {
        kind: 'keepAlive',
        id: leaseId(reader.signed64()),
        ttlSeconds: reader.boolean() ? reader.float() : null,
      };
    case callCode.leases:
      return { kind: 'leases', ids: readList(reader, () => leaseId(reader.signed64())) };
    case callCode.authStatus:
      return { kind: 'authStatus', enabled: reader.boolean(), authRevision: reader.varint() };
    case callCode.userGet:
      return { kind: 'userGet', roles: readList(reader, () => reader.text()) };
    case callCode.roleList:
      return { kind: 'roleList', roles: readList(reader, () => reader.text()) };
    case callCode.userList:
      return { kind: 'userList', users: readList(reader, () => reader.text()) };
    case callCode.roleGet:
      return {
        kind: 'roleGet',
        permissions: readList(reader, () => ({ type: reader.float(), key: reader.bytes(), rangeEnd: reader.bytes() })),
      };
    case callCode.alarms:
      return {
        kind: 'alarms',
        alarms: readList(reader, () => ({
          memberId: BigInt.asUintN(64, reader.signed64()),
          alarm: reader.float(),
        })),
      };
    default:
      throw new MalformedBytesError(`the answer to a query of kind ${code}`);
  }
}

function writeList<Element>(
  writer: BinaryWriter,
  elements: readonly Element[],
  write: (element: Element) => void,
): void {
  writer.varint(elements.length);
  for (const element of elements) write(element);
}

function readList<Element>(reader: BinaryReader, read: () => Element): Element[] {
  return Array.from({ length: reader.count() }, read);
}
