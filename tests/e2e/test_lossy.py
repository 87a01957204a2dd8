#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_lossy.py - Linux as the judge of a transfer over a bad wire: to and from the kernel, over IPv4 and
IPv6, with 3 % of the packets lost and 5 % out of order in each direction. How fast it is beside the kernel
is scripts/bench-lossy's subject; LOSSY_MIB makes the files larger.
"""
from badwire import *

SIZE = int(os.environ.get("LOSSY_MIB", "6")) * MIB
BAD = ("--both", "--delay-ms", 1, "--loss", 3, "--reorder", 5)


@contextlib.contextmanager
def files():
    with scratch(3 * SIZE) as top:
        www, up = os.path.join(top, "www"), os.path.join(top, "up")
        os.mkdir(www)
        os.mkdir(up)
        yield www, up, make_file(os.path.join(www, "big"), SIZE)


def transfer(address, faults, *options):
    need("ethtool", "curl")
    limit = 60 + SIZE // MIB * 5
    with Wired() as pair, files() as (www, up, wanted):
        with pair.relay(*faults) as relay, serve(pair, www, "--upload", up, "--address", ENGINE6 + "/64",
                                                "--rx-csum", "verify", *options) as server:
            started = time.monotonic()
            equal("sha256 of what the kernel got", download(pair, "big", limit, address), wanted)
            down = time.monotonic()
            upload(pair, os.path.join(www, "big"), "big", limit, address=address)
            note("%.1f s to the kernel, %.1f s from it" % (down - started, time.monotonic() - down))
            equal("sha256 of what it sent", sha256_file(os.path.join(up, "big")), wanted)
            server.finish()
            return relay.finish()


def check_was_bad(counts, *what):
    for way, c in counts.items():
        for kind in what:
            check(c[kind] > 0, "the wire was too good: %s of %s is 0", kind, way)


for _family, _address in (("IPv4", ENGINE), ("IPv6", ENGINE6)):
    case("to and from the kernel over %s with 3 %% loss and 5 %% reordering both ways: same hash"
         % _family, timeout=200 + SIZE // MIB * 10)(
             lambda address=_address: check_was_bad(transfer(address, BAD), "lost", "reordered"))


@case("losses in bursts, duplicates and corrupted packets: same hash", timeout=260)
def _():
    counts = transfer(ENGINE, ("--both", "--delay-ms", 1, "--burst", "0.3,20", "--dup", 2,
                               "--corrupt", 0.5))
    check_was_bad(counts, "lost", "doubled", "corrupted")


@case("a short queue in front of 30 Mbit/s: same hash", timeout=260)
def _():
    counts = transfer(ENGINE, ("--both", "--delay-ms", 5, "--rate-mbit", 30, "--queue-kb", 32))
    check(counts["w0>w1"]["overflowed"] > 0, "the queue never overflowed")


main()
