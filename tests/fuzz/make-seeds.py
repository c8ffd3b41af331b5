#!/usr/bin/env python3
"""Writes tests/fuzz/seeds from tests/pcaps/envoy and from the cases below.

Each target reads its input as a script; its format is told in capture/src/fuzzing/. Run it again
after a format has changed: the same captures give the same seeds.
"""

import struct
from pathlib import Path

HERE = Path(__file__).parent
PCAPS = HERE.parent / "pcaps/envoy/pcaps"
SEEDS = HERE / "seeds"
TO_SERVER, TO_CLIENT = 0, 1
SERVER_PORTS = (8080, 8443)
LINKS = [0, 1, 12, 14, 101, 108, 113, 228, 229, 276]


def write(target, name, data):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def records(name):
    """Link type, then (time, data, length on the wire) of a little-endian pcap."""
    data = (PCAPS / name).read_bytes()
    link = struct.unpack_from("<I", data, 20)[0]
    at, found = 24, []
    while at + 16 <= len(data):
        seconds, fraction, kept, wire = struct.unpack_from("<IIII", data, at)
        found.append(((seconds, fraction), data[at + 16 : at + 16 + kept], wire))
        at += 16 + kept
    return link, found


def segments(name):
    """(client, direction, flags, seq, payload) of TCP over IPv4 over Ethernet."""
    for _, frame, _ in records(name)[1]:
        ethertype, ip = struct.unpack_from(">H", frame, 12)[0], frame[14:]
        if ethertype == 0x8100:
            ethertype, ip = struct.unpack_from(">H", frame, 16)[0], frame[18:]
        if ethertype != 0x0800 or ip[9] != 6:
            continue
        total, head = struct.unpack_from(">H", ip, 2)[0], (ip[0] & 15) * 4
        tcp = ip[head : total or None]
        source, destination, seq = struct.unpack_from(">HHI", tcp)
        payload = tcp[(tcp[12] >> 4) * 4 :]
        if destination in SERVER_PORTS:
            yield (ip[12:16], source), TO_SERVER, tcp[13], seq, payload
        elif source in SERVER_PORTS:
            yield (ip[16:20], destination), TO_CLIENT, tcp[13], seq, payload


def dialogues(name, most):
    """Each connection's payload, as steps of a dialogue of up to `most` bytes."""
    steps, expected = {}, {}
    for client, direction, flags, seq, payload in segments(name):
        key = (client, direction)
        if flags & 2:
            expected[key] = (seq + 1) & 0xFFFFFFFF
        # Out of order, or seen before: left out, so that a seed begins well formed.
        if not payload or expected.setdefault(key, seq) != seq:
            continue
        expected[key] = (seq + len(payload)) & 0xFFFFFFFF
        script = steps.setdefault(client, bytearray())
        if len(script) + len(payload) <= most:
            script += struct.pack("<BH", direction, len(payload)) + payload
    return [bytes(script) for script in steps.values() if script]


def say(direction, data, op=0):
    return struct.pack("<BH", op | direction, len(data)) + data


def link_seeds():
    for name in ("h1_retry", "h1_any_sll2", "h1_vlan100", "h1_ipv6_lo", "h1_snap128"):
        link, found = records(f"{name}.pcap")
        script = b""
        for _, data, wire in found[:16]:
            data = data[:400]
            script += struct.pack("<BBBH", LINKS.index(link), 0, 0, len(data)) + data
        write("link", name, script)
    # One IPv4 packet in two fragments, then the same the other way round.
    tcp = struct.pack(">HHIIBBHHH", 40000, 8080, 1, 1, 0x50, 0x18, 1000, 0, 0) + b"GET / HTTP/1.1"
    tcp = tcp.ljust(40, b"\r")

    def fragment(offset, more, data):
        word = offset // 8 | (0x2000 if more else 0)
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(data), 7, word, 64, 6, 0)
        packet = head + bytes([10, 9, 1, 1, 10, 9, 1, 11]) + data
        return struct.pack("<BBBH", LINKS.index(101), 0, 0, len(packet)) + packet

    parts = [fragment(0, True, tcp[:24]), fragment(24, False, tcp[24:])]
    write("link", "fragments", b"".join(parts + parts[::-1]))
    # Ethernet in VXLAN in UDP.
    _, found = records("h1_retry.pcap")
    inner = found[4][1][:200]
    udp = struct.pack(">HHHH", 50000, 4789, 16 + len(inner), 0) + bytes([8, 0, 0, 0, 0, 0, 1, 0])
    length = 20 + len(udp) + len(inner)
    ip = struct.pack(">BBHHHBBH", 0x45, 0, length, 1, 0, 64, 17, 0) + bytes([10, 0, 0, 1] * 2)
    outer = bytes(12) + b"\x08\x00" + ip + udp + inner
    write("link", "vxlan", struct.pack("<BBBH", 1, 0, 0, len(outer)) + outer)


def reassembly_seeds():
    def step(flags, start=0, ack=0, length=0, wait=0):
        return struct.pack("<BhhHB", flags, start, ack, length, wait)

    syn, fin, rst, expire, other, cut = 2, 4, 8, 32, 64, 128
    begin = step(syn | 16) + step(syn | TO_CLIENT)
    cases = {
        "in_order": step(0, 0, 0, 90) + step(TO_CLIENT, 0, 0, 200) + step(fin) + step(fin | 1),
        "early": step(0, 100, 0, 50) + step(0, -150, 0, 100) + step(TO_CLIENT, 0, 0, 10),
        "overlap": step(0, 0, 0, 100) + step(other, -50, 0, 100) + step(other, -100, 0, 100),
        "gap": step(0, 500, 0, 50) + step(TO_CLIENT, 0, 0, 10, 30) + step(expire, wait=250),
        "reset": step(0, 20, 0, 50) + step(rst | TO_CLIENT),
        "cut": step(cut, 0, 0, 100) + step(0, 0, 0, 100) + step(expire, wait=255),
        "caps": b"".join(step(0, 10, 0, 900) for _ in range(12)),
        "reused": step(0, 0, 0, 9) + step(syn | 16, 30000) + step(0, 0, 0, 9),
    }
    for name, script in cases.items():
        for wrap in (b"\0\0\0\0", b"\xff\xff\xff\xff"):
            suffix = "_wrap" if wrap[0] else ""
            write("reassembly", name + suffix, wrap + begin + script)


def http1_seeds():
    for name in ("h1_retry", "h1_zipkin_tracing", "h1_mix", "nginx_mirror", "haproxy_mirror"):
        for index, script in enumerate(dialogues(f"{name}.pcap", 6_000)[:2]):
            write("http1", f"{name}_{index}", b"\x04" + script)
    ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    get = b"GET /%d HTTP/1.1\r\nhost: a\r\n\r\n"
    cases = {
        "pipelined": [say(0, get % 1 + get % 2), say(1, ok + ok)],
        "chunked": [
            say(0, b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\na: b\r\n\r\n"),
            say(1, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"),
        ],
        "interim": [
            say(0, b"PUT / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n"),
            say(1, b"HTTP/1.1 100 Continue\r\n\r\n"),
            say(0, b"x"),
            say(1, b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + ok),
        ],
        "until_close": [say(0, get % 1), say(1, b"HTTP/1.0 200 OK\r\n\r\nto the end"), b"\x0f"],
        "upgrade": [
            say(0, b"GET / HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"),
            say(1, b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\n\r\n\x81\x05hello"),
        ],
        "h2c_upgrade": [
            say(0, b"GET / HTTP/1.1\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n"),
            say(1, b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
        ],
        "connect": [say(0, b"CONNECT a:1 HTTP/1.1\r\n\r\n"), say(1, b"HTTP/1.1 200 OK\r\n\r\nx")],
        "gap_in_body": [
            say(0, get % 1),
            say(1, b"HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n"),
            b"\x0b\x1d\x00",
            say(1, ok),
            say(0, get % 2),
            say(1, ok),
        ],
        "odd": [
            say(0, b"\r\n\nGET / HTTP/1.1\nA : b\r\n folded\r\nnocolon\r\ncontent-length: 1, 2\r\n\r\n"),
            say(1, b"HTTP/1.1 200\r\ncontent-length: 1\r\ntransfer-encoding: gzip, chunked\r\n\r\nZ\r\n"),
        ],
        "times_out": [say(0, get % 1), b"\x0c\xff", say(1, ok)],
        "no_http": [say(0, b"\x16\x03\x01\x02\x00"), say(1, b"SSH-2.0-x\r\n")],
        "gzip": [
            say(0, get % 1),
            say(1, b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 23\r\n\r\n"
                + bytes.fromhex("1f8b08000000000000034b4c4a06 00c241243503000000")),
        ],
    }
    for name, steps in cases.items():
        for config, suffix in ((4, ""), (7, "_small_late")):
            write("http1", name + suffix, bytes([config]) + b"".join(steps))


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# RFC 7541 Appendix C.3, C.4, C.5 and C.6: requests and responses of one connection each.
REQUESTS = ["828684410f7777772e6578616d706c652e636f6d", "828684be58086e6f2d6361636865",
            "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565"]
REQUESTS_HUFFMAN = ["828684418cf1e3c2e5f23a6ba0ab90f4ff", "828684be5886a8eb10649cbf",
                    "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"]
RESPONSES_HUFFMAN = ["488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
                     "4883640effc1c0bf", "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007"]


def http2_seeds():
    for name in ("h2c_mix", "h2c_midstream"):
        late = 1 if "midstream" in name else 0
        for index, script in enumerate(dialogues(f"{name}.pcap", 6_000)[:3]):
            write("http2", f"{name}_{index}", bytes([4 | late]) + script)
    hello = say(0, PREFACE + frame(4, 0, 0, b"")) + say(1, frame(4, 0, 0, b"") + frame(4, 1, 0, b""))
    get, ok = bytes.fromhex(REQUESTS[0]), b"\x88"
    cases = {
        "one": [say(0, frame(1, 5, 1, get)), say(1, frame(1, 4, 1, ok) + frame(0, 1, 1, b"body"))],
        "padded": [
            say(0, frame(1, 0x2D, 1, b"\2\0\0\0\0\x10" + get + b"\0\0")),
            say(1, frame(1, 4, 1, ok) + frame(0, 9, 1, b"\3body\0\0\0")),
        ],
        "continued": [say(0, frame(1, 1, 1, get[:5]) + frame(9, 0, 1, get[5:9]) + frame(9, 4, 1, get[9:]))],
        "interleaved": [
            say(0, frame(1, 5, 1, get) + frame(1, 5, 3, get) + frame(1, 5, 5, get)),
            say(1, frame(1, 4, 3, ok) + frame(1, 4, 1, ok) + frame(0, 0, 3, b"a") + frame(0, 1, 1, b"b")
                + frame(3, 0, 5, b"\0\0\0\x08") + frame(0, 1, 3, b"c")),
        ],
        "trailers": [
            say(0, frame(1, 5, 1, get)),
            say(1, frame(1, 4, 1, ok) + frame(0, 0, 1, b"x") + frame(1, 5, 1, bytes.fromhex("4001610162"))),
        ],
        "goaway": [say(0, frame(1, 5, 1, get)), say(1, frame(7, 0, 0, bytes(8))), b"\x0f"],
        "push": [say(0, frame(1, 5, 1, get)), say(1, frame(5, 4, 1, b"\0\0\0\2" + get) + frame(1, 5, 2, ok))],
        "table": [say(1, frame(4, 0, 0, b"\0\1\0\0\0\0")), say(0, frame(1, 5, 1, b"\x20" + get))],
        "gap": [say(0, frame(1, 5, 1, get)), b"\x0b\x20\x00", say(1, frame(1, 4, 1, ok)), say(0, frame(1, 5, 3, get))],
    }
    for name, steps in cases.items():
        for config, suffix in ((4, ""), (6, "_small")):
            write("http2", name + suffix, bytes([config]) + hello + b"".join(steps))


def hpack_seeds():
    def blocks(flags, hexes):
        data = [bytes.fromhex(text) for text in hexes]
        return b"".join(bytes([flags, len(block)]) + block for block in data)

    for name, script in {
        "c3": blocks(0, REQUESTS),
        "c4": blocks(0, REQUESTS_HUFFMAN),
        "c6": blocks(0, REQUESTS) + blocks(TO_CLIENT, RESPONSES_HUFFMAN),
        "continued": blocks(2, REQUESTS) + blocks(2 | 4 | 8, REQUESTS_HUFFMAN),
        "never_indexed": blocks(0, ["828684100161" + "0162", "8286840f2b0162"]),
        "resized": blocks(0, ["20" + REQUESTS[0], "3fe11f" + REQUESTS[1], "3fff01" + REQUESTS[2]]),
        "bomb": blocks(0, ["82868440017fff00" + "61" * 60] + ["be" * 120] * 3),
        "bad": blocks(0, ["80", "ff8080808080808080808001", "41ff", "828684418cf1e3c2e5f23a6ba0ab90f4fe"]),
    }.items():
        for config, suffix in ((0, ""), (1, "_late"), (2, "_small")):
            write("hpack", name + suffix, bytes([config]) + script)


def tls_seeds():
    for name in ("tls12_h1", "tls12_h2", "tls13_h1", "tls13_h2"):
        lines = (PCAPS / f"{name}.keys.log").read_bytes().splitlines(keepends=True)
        for index, script in enumerate(dialogues(f"{name}.pcap", 9_000)[:2]):
            # The client random stands at offset 11 of the first record.
            random = script[3 + 11 : 3 + 43].hex().encode()
            keys = b"".join(line for line in lines if random in line)
            if not keys:
                continue
            for config, suffix in ((0, ""), (8, "_keys_late"), (2, "_small")):
                data = struct.pack("<H", len(keys)) + keys + bytes([config]) + script
                write("tls", f"{name}_{index}{suffix}", data)
    hello = bytes.fromhex("160301000401000000")
    write("tls", "no_keys", b"\0\0\0" + say(0, hello) + say(1, b"\x15\x03\x03\0\x02\x02\x28"))
    write("tls", "plain", b"\0\0\0" + say(0, b"GET / HTTP/1.1\r\n\r\n") + say(1, b"HTTP/1.1 204 No\r\n\r\n"))


def pipeline_seeds():
    for name in ("h1_retry", "h1_zipkin_tracing"):
        write("pipeline", name, (PCAPS / f"{name}.pcap").read_bytes())
    for name in ("h1_mix", "h1_any_bridge_duplicates", "h1_gaps", "h1_ipv6_lo", "h1_vlan100",
                 "h1_nsec", "h1_snap128", "h2c_mix", "tls13_h1", "nginx_mirror"):
        data = (PCAPS / f"{name}.pcap").read_bytes()
        at = 24
        while at + 16 <= len(data) and at < 7_000:
            at += 16 + struct.unpack_from("<I", data, at + 8)[0]
        write("pipeline", name, data[: at if at < 12_000 else 6_000])
    data = (PCAPS / "h1_mix.pcapng").read_bytes()
    at = 0
    while at < 7_000:
        at += struct.unpack_from("<I", data, at + 4)[0]
    write("pipeline", "h1_mix_ng", data[:at])


if __name__ == "__main__":
    link_seeds()
    reassembly_seeds()
    http1_seeds()
    http2_seeds()
    hpack_seeds()
    tls_seeds()
    pipeline_seeds()
    print(f"{sum(1 for path in SEEDS.rglob('*') if path.is_file())} seeds in {SEEDS}")
