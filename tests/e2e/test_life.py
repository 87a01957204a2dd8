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


@case("link down and up: both are told without -v")
def _():
    with Pair() as pair, echo(pair) as server:
        pair.down()
        wait_for("a word on the link going down",
                 lambda: "the link of v0 is down" in server.stderr())
        pair.up()
        wait_for("a word on the link coming up", lambda: "the link of v0 is up" in server.stderr())
        server.finish()


@case("the reader of a capture goes away: that is told at once, and the engine goes on")
def _():
    with Pair() as pair, scratch() as directory:
        fifo = os.path.join(directory, "fifo")
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        with echo(pair, "--pcap", fifo) as server:
            check(os.read(reader, 4096)[:4] == b"\x0a\x0d\x0d\x0a", "no capture to read")
            os.close(reader)
            equal("answered pings", ping(pair, count=2), 2)
            wait_for("a word on the capture", lambda: "capture" in server.stderr())
            equal("answered pings after it", ping(pair, count=2), 2)
            server.finish()
            equal("sentences", server.stderr().count("capture"), 1)


@case("a capture that meets its limit of size is told at once and stays readable")
def _():
    need("tcpdump")
    with Pair() as pair, scratch() as directory:
        path = os.path.join(directory, "cut.pcapng")
        with echo(pair, "--pcap", path) as server:
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (20001, 20001))
            equal("answered pings", ping(pair, count=20, size=1000), 20)
            wait_for("a word on the capture", lambda: "capture" in server.stderr())
            equal("answered pings after it", ping(pair, count=2), 2)
            server.finish()
        read = run("tcpdump", "-n", "-r", path)
        check(len(read.stdout.splitlines()) > 10, "tcpdump: %s", read.stderr)
        check("truncated" not in read.stderr, "tcpdump: %s", read.stderr)


@case("the reader of the log goes away: the engine goes on")
def _():
    with Pair() as pair, scratch() as www:
        wanted = make_file(os.path.join(www, "f"), MIB)
        cut = "exec \"$@\" 2> >(head -n 1 >/dev/null)"
        with serve(pair, www, "-v", wrap=("bash", "-c", cut, "bash")) as server:
            for _ in range(5):
                equal("sha256", download(pair, "f"), wanted)
            equal("exit status", server.stop(), 0)


@case("standard descriptors that are closed at the start are no descriptors of the engine")
def _():
    closed = ("sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh")
    with Pair() as pair, echo(pair, "-v", wrap=closed) as server:
        null = os.stat("/dev/null").st_rdev
        for fd in range(3):
            equal("device of descriptor %d" % fd,
                  os.stat("/proc/%d/fd/%d" % (server.pid, fd)).st_rdev, null)
        with pair.peer.connect((ENGINE, PORT)) as sock:
            sock.sendall(b"hello")
            equal("echo", sock.recv(100), b"hello")
        equal("exit status", server.stop(), 0)


@case("the log names an upload by its whole path")
def _():
    with Pair() as pair, scratch() as www:
        make_file(os.path.join(www, "f"), 1000)
        os.makedirs(os.path.join(www, "up/a/b"))
        with serve(pair, www, "--upload", os.path.join(www, "up"), "-v") as server:
            upload(pair, os.path.join(www, "f"), "a/b/g?x=1")
            wait_for("the line of the upload",
                     lambda: "PUT /a/b/g?x=1 201" in server.stderr())
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


def mtu_in_mid_transfer(mode, mtus):
    with Pair(mtu=mtus[0]) as pair, \
            slow_download(pair, 48 * MIB, "--xdp-mode", mode) as (server, curl, wanted):
        for mtu in mtus[1:]:
            pair.set_mtu(mtu)
            before = os.path.getsize(curl.out)
            wait_for("the transfer to go on with an MTU of %d" % mtu,
                     lambda: os.path.getsize(curl.out) > before + MIB or not curl.alive())
            check(curl.alive(), "the transfer was over too soon: %s", curl.stderr())
        finish(curl, wanted)
        for mtu in mtus[1:]:
            check("the MTU of v0 is now %d" % mtu in server.stderr(), "not logged: %s",
                  server.stderr())
        server.finish()


for _mode in ("generic", "native"):
    case("the MTU is lowered and raised on both ends in mid-transfer: the transfer goes on (%s)"
         % _mode)(lambda mode=_mode: mtu_in_mid_transfer(mode, [1500, 1400, 1280, 1500]))
    case("the MTU falls from 9000 to 1500 in mid-transfer: the transfer goes on (%s)"
         % _mode)(lambda mode=_mode: mtu_in_mid_transfer(mode, [9000, 1500, 9000]))


@case("the MAC address changes in mid-transfer: the transfer goes on")
def _():
    with Pair() as pair, slow_download(pair, 32 * MIB) as (server, curl, wanted):
        run("ip", "link", "set", "v0", "address", "02:00:00:00:09:09", ns=pair.engine)
        finish(curl, wanted)
        server.finish()


@case("an MTU that is too small is logged, and the engine lives until it is right again")
def _():
    with Pair() as pair, slow_download(pair, 32 * MIB) as (server, curl, wanted):
        pair.set_mtu(500)
        wait_for("the error", lambda: "is now 500" in server.stderr())
        pair.set_mtu(1500)
        finish(curl, wanted)
        server.finish()


main()
