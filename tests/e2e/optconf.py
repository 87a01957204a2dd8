#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
optconf.py - what every socket option answers, as text: run once on the kernel's sockets and once under the shim.

    optconf.py PATH LOCAL PEER      PATH is where `posix_conf peer PATH` listens

One line an option, value and state of the socket: the error of setsockopt(), then what getsockopt() gives. The
states are "connected", "listening", "before connect", "before listen" (set on a new socket, asked for when it is
connected or listens) and "accepted" (set on a listener, asked for on what it accepts).
"""
import ctypes
import errno
import socket
import struct
import sys

LEVELS = {"SOL_SOCKET": (socket.SOL_SOCKET, 90), "TCP": (socket.IPPROTO_TCP, 50), "IP": (socket.IPPROTO_IP, 60),
          "IPV6": (socket.IPPROTO_IPV6, 90)}
# What getsockopt() tells of these depends on time or chance.
UNSTABLE = {("SOL_SOCKET", n) for n in (49, 55, 56, 57, 59, 71)} | {("TCP", n) for n in (11, 12, 24, 26, 28)} | {
    ("IP", 52)}
# With these set nothing comes in, or no handshake takes place: not waited for.
DEAF = {"accepted": {("SOL_SOCKET", 25), ("SOL_SOCKET", 62), ("TCP", 14), ("TCP", 19), ("IP", 21), ("IPV6", 73)},
        "before connect": {("SOL_SOCKET", 25), ("SOL_SOCKET", 62), ("TCP", 14), ("TCP", 19)}}

ACCEPT_ALL = struct.pack("HBBI", 0x06, 0, 0, 0xffffffff)  # one BPF instruction: return all
_filter = ctypes.create_string_buffer(ACCEPT_ALL, len(ACCEPT_ALL))
FPROG = struct.pack("HxxxxxxP", 1, ctypes.addressof(_filter))


def md5sig(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    peer = socket.inet_pton(family, address)
    sa = struct.pack("=HH4s", family, 0, peer) if family == socket.AF_INET else \
        struct.pack("=HHI16sI", family, 0, 0, peer, 0)
    return sa.ljust(128, b"\0") + struct.pack("BBHI", 0, 0, 6, 0) + b"secret".ljust(80, b"\0")


def special(peer):
    """Values that are no number: level, option, value."""
    return [
        ("SOL_SOCKET", 26, FPROG),  # SO_ATTACH_FILTER
        ("SOL_SOCKET", 51, FPROG),  # SO_ATTACH_REUSEPORT_CBPF
        ("SOL_SOCKET", 25, b"v0\0"),  # SO_BINDTODEVICE
        ("SOL_SOCKET", 25, b"lo\0"),
        ("SOL_SOCKET", 25, b""),
        ("SOL_SOCKET", 13, struct.pack("ii", 1, 7)),  # SO_LINGER
        ("SOL_SOCKET", 20, struct.pack("ll", 3, 0)),  # SO_RCVTIMEO
        ("SOL_SOCKET", 61, struct.pack("ii", 1, 0)),  # SO_TXTIME
        ("SOL_SOCKET", 37, struct.pack("i", 0x11)),  # SO_TIMESTAMPING
        ("TCP", 14, md5sig(peer)),  # TCP_MD5SIG
        ("TCP", 31, b"tls"),  # TCP_ULP
        ("TCP", 31, b"nonesuch"),
        ("TCP", 13, b"reno"),  # TCP_CONGESTION
        ("TCP", 33, bytes(16)),  # TCP_FASTOPEN_KEY
        ("IP", 4, b"\1\1\1\1"),  # IP_OPTIONS: no operation
        ("IP", 4, b""),
        ("IPV6", 50, bytes(20)),  # IPV6_PKTINFO
        ("IPV6", 54, bytes(8)),  # IPV6_HOPOPTS
    ]


class Peer:
    def __init__(self, path, local, address):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.file = self.sock.makefile("rw")
        self.local, self.address = local, address
        self.family = socket.AF_INET6 if ":" in local else socket.AF_INET
        self.listener = self.say("listen", address)
        self.port = self.say("port", self.listener)

    def say(self, *words):
        self.file.write(" ".join(str(w) for w in words) + "\n")
        self.file.flush()
        return int(self.file.readline())

    def connect(self, s):
        s.connect((self.address, self.port))
        self.say("close", self.say("accept", self.listener))


def attempt(s, level, name, value):
    try:
        s.setsockopt(level, name, value)
        return "0"
    except OSError as e:
        return errno.errorcode[e.errno]


def ask(s, level, name):
    try:
        return s.getsockopt(level, name, 64).hex()
    except OSError as e:
        return errno.errorcode[e.errno]


def states(peer, text, name, value):
    """state, error of setsockopt(), answer of getsockopt()"""
    level = LEVELS[text][0]
    any_address = "::" if peer.family == socket.AF_INET6 else "0.0.0.0"
    for state in ("connected", "listening", "before connect", "before listen", "accepted"):
        if (text, name) in DEAF.get(state, ()):
            continue
        with socket.socket(peer.family) as s:
            if state.startswith("before"):
                err = attempt(s, level, name, value)
            s.settimeout(5)
            try:
                if state.endswith("connect") or state == "connected":
                    peer.connect(s)
                else:
                    s.bind((any_address, 0))
                    s.listen()
            except OSError as e:
                yield state, err if state.startswith("before") else "?", type(e).__name__
                continue
            if not state.startswith("before"):
                err = attempt(s, level, name, value)
            if state != "accepted":
                yield state, err, ask(s, level, name)
                continue
            h = peer.say("connect", peer.local, s.getsockname()[1])
            try:
                accepted, _ = s.accept()
            except OSError as e:
                yield state, err, type(e).__name__
                continue
            with accepted:
                yield state, err, ask(accepted, level, name)
            peer.say("close", h)


def main():
    peer = Peer(*sys.argv[1:])
    number = struct.pack("i", 1)
    rows = [(text, name, number) for text, (_, most) in LEVELS.items() for name in range(most)]
    for text, name, value in rows + special(peer.address):
        if text == "IPV6" and peer.family == socket.AF_INET:
            continue
        if (text, name) in (("SOL_SOCKET", 26), ("SOL_SOCKET", 51)) and value == number:
            continue  # no filter
        shown = "program" if value == FPROG else value.hex() if len(value) < 20 else "..."
        for state, err, answer in states(peer, text, name, value):
            if (text, name) in UNSTABLE:
                answer = "-"
            print("%s %d %s %s: %s, now %s" % (text, name, shown, state, err, answer), flush=True)


main()
