"""A client of sessions in another language, by the page in SPEC.md alone: it watches a key, puts it, reads it, and
prints what it read and what it was told. Then it takes a lock, stands in its queue once more, and leaves."""
import os, socket, struct, sys
from base64 import b64encode
from urllib.parse import urlparse

url, key = urlparse(sys.argv[1]), sys.argv[2]
wire = socket.create_connection((url.hostname, url.port)).makefile("rwb")
wire.write(
    f"GET /v1/session HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}\r\n"
    f"Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: quorate.session.1\r\n"
    f"Authorization: Bearer {key}\r\n\r\n".encode())
wire.flush()
head = b"".join(iter(wire.readline, b"\r\n")).lower()
assert b" 101 " in head and b"quorate.session.1" in head and b"deflate" not in head, head

def varint(number):
    return bytes([number]) if number < 128 else bytes([number % 128 | 128]) + varint(number // 128)

def sized(data):
    return varint(len(data)) + data

def send(*frames):
    message, mask = b"".join(map(sized, frames)), os.urandom(4)
    length = bytes([128 | len(message)]) if len(message) < 126 else b"\xfe" + struct.pack(">H", len(message))
    wire.write(b"\x82" + length + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(message)))
    wire.flush()

def receive():
    first, length = wire.read(2)
    assert first == 0x82, "a whole binary message"
    return Reader(wire.read(length if length < 126 else struct.unpack(">H", wire.read(2))[0]))

class Reader:
    def __init__(self, data): self.data, self.at = data, 0
    def take(self, count): self.at += count; return self.data[self.at - count:self.at]
    def byte(self): return self.take(1)[0]
    def varint(self): first = self.byte(); return first if first < 128 else first - 128 + 128 * self.varint()
    def bytes(self): return self.take(self.varint())

frames = []

def next_of(*kinds):
    """The next frame of one of these kinds. Frames of other kinds stay for whoever asks for them."""
    while True:
        for frame in frames:
            if frame.data[0] in kinds:
                frames.remove(frame)
                frame.at = 1
                return frame
        message = receive()
        while message.at < len(message.data):
            frames.append(Reader(message.bytes()))

def call(number, body):
    send(b"\x04" + varint(number) + varint(1) + varint(5000) + b"\0\0\1" + body)
    frame = next_of(2)
    assert frame.varint() == number and frame.byte() == 3, "it was answered"
    frame.take(16), frame.varint(), frame.varint()
    return frame.byte(), frame

send(b"\x01" + sized(os.urandom(16)) + varint(1_000_000), b"\x02" + varint(1) + b"\x01" + sized(key.encode()))
send(b"\x08" + varint(1) + varint(1) + sized(b"stranger") + sized(b"") + b"\0" + varint(0))
created = next_of(7, 10)
assert created.data[0] == 7 and created.varint() == 1, "the watch was created"
assert call(1, b"\x02" + sized(b"") + sized(b"stranger") + sized(b"was here") + b"\0")[0] == 2, "it was put"
kind, answer = call(2, b"\x01" + sized(b"stranger") + sized(b"") + b"\0\0")
assert kind == 1 and answer.byte() == 0 and answer.varint() == 1 and answer.varint() == 1, "one pair was found"
assert answer.bytes() == b"stranger"
print(answer.bytes().decode())
told = next_of(8)
assert told.varint() == 1 and told.varint() == 1, "one watch is told"
term, revision, flags, name = told.varint(), told.varint(), told.byte(), told.bytes()
print(["put", "delete"][flags & 1], name.decode(), told.bytes().decode())

def wait(number, lease):
    send(b"\x0b" + varint(number) + varint(1) + b"\0\1" + b"\x01" + sized(b"door") + struct.pack(">q", lease))

def waited(number):
    frame = next_of(11)
    assert frame.varint() == number and frame.byte() == 3, "the wait ended here"
    frame.take(16), frame.varint(), frame.varint()
    return frame

assert call(3, b"\x06" + sized(b"") + struct.pack(">qd", 77, 60))[0] == 6, "a lease was granted"
assert call(4, b"\x06" + sized(b"") + struct.pack(">qd", 78, 60))[0] == 6, "and another one"
wait(5, 77)
answer = waited(5)
assert answer.byte() == 15 and answer.varint() > 1, "it is the turn of the first"
print(answer.bytes().decode())
wait(6, 78)
wait(7, 77)
assert waited(7).byte() == 15, "a lease that holds the lock is answered at once, and the other one waits"
send(b"\x0c" + varint(6))
assert call(8, b"\x07" + sized(b"") + struct.pack(">q", 77))[0] == 8, "the lease was revoked"
kind, answer = call(9, b"\x01" + sized(b"door/") + sized(b"door0") + b"\0\0")
assert kind == 1 and answer.byte() == 0
print(answer.varint(), "left")
