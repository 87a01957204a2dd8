#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_idle.py - what nothing happens on costs nothing: CPU time with no connection, with 1,000 open
ones, and with a peer that has stopped reading.
"""
from lib import *

SECONDS = 10


def idle_share(process, seconds):
    """The share of a core that the process uses while it has nothing to do."""
    time.sleep(1)  # delayed ACKs and the like are over
    before = process.cpu_seconds()
    started = time.monotonic()
    time.sleep(seconds)
    return (process.cpu_seconds() - before) / (time.monotonic() - started)


def check_idle(process, seconds=SECONDS):
    share = idle_share(process, seconds)
    note("%.3f%% of a core" % (100 * share))
    check(share < 0.01, "%.2f%% of a core", 100 * share)


@case("without a connection the process uses under 1% of a core")
def _():
    with Pair() as pair, echo(pair) as server:
        check_idle(server, 3)
        server.finish()


@case("with 1,000 open connections the process uses under 1% of a core, and all of them live")
def _():
    with Pair() as pair, echo(pair, "--max-sockets", "1100") as server, \
            contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(pair.peer.connect((ENGINE, PORT))) for _ in range(1000)]
        for i, sock in enumerate(sockets):
            sock.sendall(b"%d" % i)
        for i, sock in enumerate(sockets):
            equal("echo on connection %d" % i, sock.recv(100), b"%d" % i)
        check_idle(server)
        for i, sock in enumerate(sockets):
            sock.sendall(b"again %d" % i)
        for i, sock in enumerate(sockets):
            equal("echo on connection %d" % i, sock.recv(100), b"again %d" % i)
        stack.close()
        equal("tcp.passive_opens", server.finish()["tcp.passive_opens"], 1000)


@case("with a peer that does not read, the process waits for its window and does not spin")
def _():
    with Pair() as pair, scratch() as www:
        make_file(os.path.join(www, "f"), 32 * MIB)
        with serve(pair, www) as server, pair.peer.connect((ENGINE, PORT)) as sock:
            sock.sendall(b"GET /f HTTP/1.1\r\nHost: x\r\n\r\n")
            check_idle(server, 3)
            got = sock.recv(64)
            check(got.startswith(b"HTTP/1.1 200"), "the answer was %r", got)


main()
