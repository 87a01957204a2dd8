#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_garbage.py - a million frames that no honest host sends do no harm: nothing crashes (under ASan
and UBSan), each frame is counted, and a transfer beside them completes.
"""
from lib import *

FRAMES = 1000000
GARBAGE = os.path.join(BUILD, "tests/tools/garbage")


@contextlib.contextmanager
def garbage(pair, frames, seed):
    check(os.path.exists(GARBAGE), "%s is not built: make tests", GARBAGE)
    mac = pair.arp(ENGINE)
    check(mac, "the engine does not answer ARP")
    with Process([GARBAGE, "v1", str(frames), str(seed), mac.hex(":"), ENGINE, str(PORT)],
                 ns=pair.peer) as sender:
        yield sender


def uncounted(pair, counters):
    """Frames that the peer's interface has handed over, less those with a verdict."""
    verdicts = counters.sum("xdp.pass_") + counters.sum("xdp.redirect_") + counters["xdp.drop"] + \
        counters["xdp.arp_noted"]
    return pair.counter(pair.peer, "v1", "tx_packets") - verdicts


def all_counted(counters):
    """Every drop has a reason, and what was redirected was received or counted as lost."""
    equal("dropped by the XDP program", counters.sum("xdp.drop."), counters["xdp.drop"])
    redirected, received = counters.sum("xdp.redirect_"), counters["dev.rx_packets"]
    lost = sum(counters["dev." + name] for name in ("rx_dropped", "rx_ring_full",
                                                    "rx_fill_ring_empty"))
    check(received <= redirected <= received + lost,
          "%d redirected, %d received, %d counted as lost between", redirected, received, lost)


def complete(top, names, size):
    paths = [os.path.join(top, name) for name in names]
    return [path for path in paths if os.path.exists(path) and os.path.getsize(path) == size]


def million(mode, binary, frames, seed):
    with Pair(peer_tx_csum=False) as pair, scratch() as top:
        # A kernel with an address answers some of what passes to it by broadcast, of which the
        # program would see, and count, the copy that is looped back.
        run("ip", "addr", "flush", "dev", "v0", ns=pair.engine)
        size = 4 * MIB
        wanted = make_file(os.path.join(top, "f"), size)
        names = ["got-%02d" % i for i in range(100)]
        with serve(pair, top, "--xdp-mode", mode, "--rate", "80mbit", binary=binary) as server:
            before_attach = uncounted(pair, server.counters())
            # The connection is made before the garbage comes: that is full of SYNs, and a SYN queue
            # that is full of them is right to let no other in. The second request comes after it.
            argv = ["curl", "-sS", "--fail", "--max-time", "100"]
            for name in names:
                argv += ["-o", os.path.join(top, name), url("f")]
            with Process(argv, ns=pair.peer) as curl:
                wait_for("the transfer's first bytes",
                         lambda: pair.counter(pair.peer, "v1", "rx_bytes") > 100000)
                started = time.monotonic()
                with garbage(pair, frames, seed) as sender:
                    equal("status of the sender", sender.wait(100), 0)
                    note("%.1f s: %s" % (time.monotonic() - started, sender.stdout().decode()))
                    equal("what was sent", sender.stdout().split()[0], b"%d" % frames)
                check(server.alive(), "the process died of the garbage")
                check(curl.alive(), "curl has ended: %s", curl.stderr())
                # What the garbage fell on, and one more, arrive.
                during = len(complete(top, names, size))
                wait_for("the file that the garbage fell on, and the next",
                         lambda: len(complete(top, names, size)) >= during + 2, timeout=30)
                arrived = complete(top, names, size)
            for path in arrived:
                equal("sha256 of " + path, sha256_file(path), wanted)
            equal("answered pings", ping(pair, count=3), 3)
            counters = server.finish()
            equal("tcp.passive_opens", counters["tcp.passive_opens"], 1)
            equal("frames without a verdict", uncounted(pair, counters), before_attach)
            all_counted(counters)
            for reason in ("ip_truncated", "ip_bad_csum", "tcp_bad_csum", "tcp_bad_hdrlen",
                           "tcp_bad_flags", "ip_bad_hdrlen", "arp_bad", "tcp_truncated"):
                check(counters.dropped(reason) > 0, "no frame was dropped for %s", reason)


@case("a million garbage frames under ASan and UBSan: no crash, all counted, a transfer completes",
      timeout=250)
def _():
    million("generic", sanitized(), FRAMES, seed=20240229)


@case("native attach takes garbage as well: no crash, all counted, a transfer completes",
      timeout=120)
def _():
    million("native", None, FRAMES // 4, seed=4711)


main()
