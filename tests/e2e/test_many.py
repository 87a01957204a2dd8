#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_many.py - many bulk transfers at once under `millrace run`, with few packet buffers: every byte is compared, and
nobody is left behind.
"""
from runlib import *

N, SIZE = 200, 200000

# Each connection begins with four bytes: its number and what the client does. Then each side that sends has a stream
# of its own, which depends on the number.
ENDS = r"""
import random, selectors, socket, sys, time
mode, host, port, n, size = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
P = 65521
pattern = random.Random(7).randbytes(P) * 2 + bytes(4)
whole = memoryview(pattern * (size // len(pattern) + 3))
sel = selectors.DefaultSelector()

class Conn:
    def __init__(self, sock, number=None, sends=False, receives=False, head=b""):
        sock.setblocking(False)
        self.sock, self.head, self.number = sock, head, number
        self.sends, self.receives = sends, receives
        self.sent = self.got = 0
        self.events = selectors.EVENT_READ | (selectors.EVENT_WRITE if sends else 0)
        sel.register(sock, self.events, self)

    def begin(self):
        while self.number is None:
            piece = self.sock.recv(4 - len(self.head))
            assert piece, "a connection ended in its head"
            self.head += piece
            if len(self.head) == 4:
                self.number, what = int.from_bytes(self.head[:2], "big"), self.head[2]
                self.sends, self.receives = bool(what & 2), bool(what & 1)
                self.want(selectors.EVENT_READ | (selectors.EVENT_WRITE if self.sends else 0))

    def want(self, events):
        if events != self.events:
            self.events = events
            sel.modify(self.sock, events, self)

    def write(self):
        while self.sends and self.sent < size:
            start = self.number * 101 % P + self.sent
            self.sent += self.sock.send(whole[start:self.number * 101 % P + size])
        if self.sends:
            self.sends = False
            self.sock.shutdown(socket.SHUT_WR)
        self.want(selectors.EVENT_READ)

    def read(self):
        while True:
            piece = self.sock.recv(262144)
            if not piece:
                assert self.got == (size if self.receives else 0), (self.number, self.got)
                return False
            start = self.number * 101 % P + self.got
            assert piece == whole[start:start + len(piece)], "connection %d differs after %d" % (self.number, self.got)
            self.got += len(piece)

    def step(self, events):
        if self.number is None:
            try:
                self.begin()
            except BlockingIOError:
                return
        if events & selectors.EVENT_WRITE:
            try:
                self.write()
            except BlockingIOError:
                pass
        try:
            over = not self.read()
        except BlockingIOError:
            over = False
        if over and not self.sends:
            sel.unregister(self.sock)
            self.sock.close()
            return True
        if over:
            self.want(selectors.EVENT_WRITE)

def server():
    listener = socket.create_server((host, port), backlog=n + 8)
    listener.setblocking(False)
    sel.register(listener, selectors.EVENT_READ)
    while True:
        for key, events in sel.select():
            if key.data:
                key.data.step(events)
                continue
            while True:
                try:
                    Conn(listener.accept()[0])
                except BlockingIOError:
                    break

def client():
    what = {"up": 1, "down": 2, "both": 3}[sys.argv[6]]
    for number in range(n):
        sock = socket.create_connection((host, port))
        sock.sendall(number.to_bytes(2, "big") + bytes((what, 0)))
        conn = Conn(sock, number, bool(what & 1), bool(what & 2))
        if not conn.sends:
            sock.shutdown(socket.SHUT_WR)
    left, began = n, time.monotonic()
    while left:
        ready = sel.select(20)
        assert ready, "%d of %d connections stand still" % (left, n)
        for key, events in ready:
            left -= bool(key.data.step(events))
    print("%d of %d bytes, %s: %.2f s" % (n, size, sys.argv[6], time.monotonic() - began))

{"server": server, "client": client}[mode]()
"""

FEW = ("--umem-frames", "4096", "--rx-ring", "1024")


def ends(mode, address, port, *more, n=N):
    return ["python3", "-c", ENDS, mode, address, str(port), str(n), str(SIZE), *more]


def transfers(pair, what, server_on_stack):
    port = 7400
    here, there = (pair.engine, pair.peer) if server_on_stack else (pair.peer, pair.engine)
    address = SHARED if server_on_stack else PEER
    server, peer = ends("server", address, port), ends("client", address, port, what)
    if server_on_stack:
        server = shared(*server, options=FEW)
    else:
        peer = shared(*peer, options=FEW + ("--stats",))
    with Process(server, ns=here, name="server") as srv:
        wait_for("the server", lambda: listens(here, port), 15)
        if server_on_stack:
            check(any(e["accelerated"] for e in sockets(pair)), "the server is not on the stack")
        done = run(*peer, ns=there, timeout=60)
        note(done.stdout.strip())
        if not server_on_stack:
            check("active_opens" in done.stderr, "the client is not on the stack: %s", done.stderr)
        # A server that has found a wrong byte has ended.
        run(*ends("client", address, port, "both", n=1), ns=there, timeout=20)
        check(srv.alive(), "the server has ended: %s", srv.stderr())


def listens(ns, port):
    return ":%d " % port in run("ss", "-tlnH", ns=ns).stdout


for name, what in (("uploads", "up"), ("downloads", "down"), ("transfers both ways", "both")):
    for on_stack in (True, False):
        @case("%d %s at once with few packet buffers, %s on the stack: every byte arrives"
              % (N, name, "server" if on_stack else "client"), timeout=90)
        def many(what=what, on_stack=on_stack):
            with shared_pair() as pair:
                transfers(pair, what, on_stack)

main()
