#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_run_row.py - connect, request, answer, close under `millrace run`, many times in a row: nothing of the
stack's, and nothing of the program's, is used up. tests/tools/row.c is the program at both ends.

With LONG=1 in the environment there are 100,000 in a row, else 10,000.
"""
import re

from lib import *
from runlib import *

ROW = os.path.join(BUILD, "tests/tools/row")
N = 100000 if LONG else 10000


def memory_kb(pid):
    """What the process has for itself; the arena and the packet buffers are not counted."""
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"RssAnon:\s+(\d+)", f.read())[1])


def held(pair, pid):
    """What must not grow. TIME-WAITs are given back when their minute is over, or when their port is
    needed, and hold a port until then: they are told, and not compared."""
    used = in_use(pair)
    used["descriptors of the program"] = len(os.listdir("/proc/%d/fd" % pid))
    used["memory of the program, kB"] = memory_kb(pid)
    return used


def compare(before, after):
    for key in before:
        note("%-28s %6d before, %6d after" % (key, before[key], after[key]))
    for key in before:
        if "memory" in key:
            check(after[key] < before[key] + 512, "memory grew from %d to %d kB", before[key], after[key])
        elif key != "time_wait":
            # the connection before the first count may still be closing then
            check(after[key] <= before[key], "%s grew from %d to %d", key, before[key], after[key])


def clients(pair, address, how, n):
    done = run(ROW, "client", address, "7000", *how, str(n), ns=pair.peer, timeout=300)
    equal("connections made", done.stdout, "%d\n" % n)


def serve_in_a_row(address, server_how, client_how):
    with shared_pair() as pair, shared_server(
            pair, ROW, "server", address, "7000", *server_how, port=7000, address=address,
            options=("--umem-frames=1024", "--max-sockets=500")) as server:
        clients(pair, address, client_how, 100)
        before = held(pair, server.pid)
        clients(pair, address, client_how, N)
        wait_for("the last connection to end", lambda: held(pair, server.pid)["connections"] == 0)
        compare(before, held(pair, server.pid))


@case("%d connections in a row to a server, which closes, leave nothing behind: IPv4, blocking" % N, timeout=330)
def server4():
    serve_in_a_row(SHARED, ["first"], [])


@case("%d connections in a row to a server, which closes, leave nothing behind: IPv6, non-blocking" % N,
      timeout=330)
def server6():
    serve_in_a_row(SHARED6, ["poll", "first"], ["poll"])


def connect_in_a_row(address, how, server_how):
    """A shell keeps the stack, so that it can be looked at before and after; the client's own memory and
    descriptors are gone with it."""
    script = "read x; %s client %s 7000 %s 100; read x; %s client %s 7000 %s %d; read x" % (
        ROW, address, " ".join(how), ROW, address, " ".join(how), N)
    with shared_pair() as pair, Process([ROW, "server", address, "7000", *server_how], ns=pair.peer) as server:
        wait_for("the server", lambda: b"ready" in server.stdout())
        with Process(shared("sh", "-c", script, options=("--umem-frames=1024", "--stats")), ns=pair.engine,
                     stdin=subprocess.PIPE) as shell:
            def go_on(output):
                shell.proc.stdin.write(b"\n")
                shell.proc.stdin.flush()
                wait_for("the clients", lambda: shell.stdout().endswith(output) or not shell.alive(), timeout=300)
            go_on(b"100\n")
            before = held(pair, shell.pid)
            go_on(b"100\n%d\n" % N)
            equal("what the clients said", shell.stdout(), b"100\n%d\n" % N)
            wait_for("the last connection to end", lambda: held(pair, shell.pid)["connections"] == 0)
            after = held(pair, shell.pid)
            shell.proc.stdin.close()
            shell.wait(20)
            wait_for("the keeper's counters", lambda: "rounds" in shell.stderr(), timeout=10)
            counters = parse_counters(shell.stderr())
        equal("connections on the stack", counters["tcp.active_opens"], 100 + N)
        if "first" in how:  # each of its ports is in TIME-WAIT
            note("ports in TIME-WAIT: %d" % after.pop("ports"))
            before.pop("ports")
        compare(before, after)


@case("%d connections in a row from a client, which closes, leave nothing behind: IPv4, non-blocking" % N,
      timeout=330)
def client4():
    connect_in_a_row(PEER, ["poll", "first"], [])


@case("%d connections in a row from a client, whose server closes, leave nothing behind: IPv6, blocking" % N,
      timeout=330)
def client6():
    connect_in_a_row(PEER6, [], ["first"])


main()
