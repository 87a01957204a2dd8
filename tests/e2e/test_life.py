#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_life.py - what becomes of the interface, the kernel and the connections when the process dies,
the link goes away, or the two share one interface.
"""
from lib import *

SLOW = ("--rate", "160mbit")  # so that a transfer is certainly in its middle for some seconds


@contextlib.contextmanager
def slow_download(pair, size, *options):
    """A transfer in its middle: (server, curl's process, wanted sha256)."""
    with scratch() as www:
        wanted = make_file(os.path.join(www, "f"), size)
        out = os.path.join(www, "got")
        with serve(pair, www, *SLOW, *options) as server:
            curl = Process(["curl", "-sS", "--fail", "--max-time", "60", "-o", out, url("f")],
                           ns=pair.peer)
            curl.out = out
            with curl:
                wait_for("the transfer's first MiB",
                         lambda: os.path.exists(out) and os.path.getsize(out) > MIB)
                yield server, curl, wanted


def finish(curl, wanted):
    status = curl.wait(40)
    check(status == 0, "curl: status %d: %s", status, curl.stderr())
    equal("sha256", sha256_file(curl.out), wanted)


def kernel_answers_at_once(pair):
    equal("echo replies of the kernel's own address", ping(pair, NEIGHBOUR, count=1, wait=1), 1)


def killed(mode):
    with Pair() as pair, slow_download(pair, 64 * MIB, "--xdp-mode", mode) as (server, curl, _):
        equal("attach mode", pair.xdp(), mode)
        check(curl.alive(), "the transfer was over too soon: %s", curl.stderr())
        server.kill()
        wait_for("the XDP program to be gone", lambda: pair.xdp() is None, timeout=1)
        kernel_answers_at_once(pair)
        shown = run("bpftool", "-j", "net", "show", ns=pair.engine, ok=False).stdout
        check('"xdp":[]' in shown.replace(" ", ""), "bpftool net: %s", shown)


for _mode in ("generic", "native"):
    case("kill -9 in mid-transfer: XDP is gone within a second, the kernel answers ping (%s)"
         % _mode)(lambda mode=_mode: killed(mode))


@case("after kill -9 a new process takes the interface at once and serves")
def _():
    with Pair() as pair, scratch() as www:
        wanted = make_file(os.path.join(www, "f"), MIB)
        for _ in range(3):
            with serve(pair, www) as server:
                equal("sha256", download(pair, "f"), wanted)
                server.kill()


@case("SIGTERM ends the process with status 0, detaches XDP and sends the FINs that are owed")
def _():
    with Pair() as pair, scratch() as www:
        with serve(pair, www) as server, pair.peer.connect((ENGINE, PORT)) as idle:
            idle.sendall(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
            check(idle.recv(4096).startswith(b"HTTP/1.1 "), "no answer")
            server.proc.terminate()
            equal("what the peer reads", idle.recv(10), b"")
            idle.close()
            server.finish()
            equal("XDP", pair.xdp(), None)


def link_flap(mode):
    with Pair() as pair, \
            slow_download(pair, 48 * MIB, "--xdp-mode", mode) as (server, curl, wanted):
        pair.down()
        time.sleep(0.7)
        check(server.alive(), "the process ended when the link went down")
        pair.up()
        finish(curl, wanted)
        server.finish()


for _mode in ("generic", "native"):
    case("link down and up in mid-transfer: the transfer goes on (%s)" % _mode)(
        lambda mode=_mode: link_flap(mode))


@case("the peer's end down and up in mid-transfer: the transfer goes on")
def _():
    with Pair() as pair, slow_download(pair, 48 * MIB) as (server, curl, wanted):
        run("ip", "link", "set", "v1", "down", ns=pair.peer)
        time.sleep(0.7)
        pair.up()
        finish(curl, wanted)
        server.finish()


@case("link down while the engine is idle: it uses no CPU, and serves again when the link is up")
def _():
    with Pair() as pair, scratch() as www:
        wanted = make_file(os.path.join(www, "f"), MIB)
        with serve(pair, www) as server:
            equal("sha256", download(pair, "f"), wanted)
            pair.down()
            time.sleep(0.3)
            before = server.cpu_seconds()
            time.sleep(1.5)
            used = server.cpu_seconds() - before
            check(used < 0.05, "%.0f ms of CPU in 1.5 s", used * 1000)
            pair.up()
            equal("sha256", download(pair, "f"), wanted)
            server.finish()


def peer_deleted(busy):
    with Pair() as pair, contextlib.ExitStack() as stack:
        if busy:
            server, _, _ = stack.enter_context(slow_download(pair, 64 * MIB))
        else:
            server = stack.enter_context(serve(pair, stack.enter_context(scratch()), stats=False))
        before, said = server.cpu_seconds(), len(server.stderr())
        pair.cut()
        deadline = time.monotonic() + 5
        used = 0.0
        while server.alive():
            used = server.cpu_seconds() or used
            check(time.monotonic() < deadline, "the process did not end within 5 s")
            time.sleep(0.02)
        check(used - before < 0.5, "%.1f s of CPU after the interface was gone", used - before)
        status = server.wait()
        check(0 < status < 128, "exit status %d", status)
        # A warning may come before it: the link goes down before the interface goes away.
        errors = [line for line in server.stderr()[said:].splitlines() if "gone" in line]
        check(len(errors) == 1 and "v0" in errors[0], "no clear sentence: %s", server.stderr())


case("peer deleted while idle: one clear sentence, status not 0, no spin")(
    lambda: peer_deleted(False))
case("peer deleted in mid-transfer: a clear sentence, status not 0, no spin")(
    lambda: peer_deleted(True))


@case("the kernel's own address on the interface goes on working beside the engine")
def _():
    with Pair() as pair, slow_download(pair, 24 * MIB) as (server, curl, wanted):
        equal("answered pings", ping(pair, NEIGHBOUR, count=20), 20)
        # The other way round, with an empty neighbour cache: ARP replies to the kernel get through.
        run("ip", "neigh", "flush", "all", ns=pair.engine)
        equal("answered pings of the kernel", ping(pair, PEER, count=5, ns=pair.engine), 5)
        with pair.engine.listen((NEIGHBOUR, PORT)) as listener:
            out = pair.peer.connect((NEIGHBOUR, PORT))
            inside, _ = listener.accept()
            with out, inside:
                out.sendall(b"to the kernel")
                equal("bytes to the kernel's server", inside.recv(100), b"to the kernel")
                inside.sendall(b"from the kernel")
                equal("bytes from the kernel's server", out.recv(100), b"from the kernel")
        with pair.peer.listen((PEER, 9000)) as listener:
            out = pair.engine.connect((PEER, 9000))
            inside, _ = listener.accept()
            with out, inside:
                out.sendall(b"x" * 1000)
                equal("bytes of the kernel's client", len(inside.recv(2000)), 1000)
        finish(curl, wanted)
        counters = server.finish()
        check(counters["xdp.pass_not_ours"] > 20, "what passed to the kernel was not counted")


@case("MTU changed while it runs: the interface works on, in both directions")
def _():
    with Pair(mtu=9000) as pair, scratch() as www:
        wanted = make_file(os.path.join(www, "f"), 4 * MIB)
        with serve(pair, www) as server:
            equal("sha256", download(pair, "f"), wanted)
            pair.set_mtu(1500)
            equal("sha256 after", download(pair, "f"), wanted)
            server.finish()


main()
