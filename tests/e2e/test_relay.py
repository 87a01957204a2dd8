#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_relay.py - the bad wire of the other tests does what it is told, and no more: judged by the kernel on
both of its ends.
"""
import threading

from badwire import *

PAYLOAD = 2 * MIB


def transfer(pair, size, address=PEER, timeout=60):
    """Kernel to kernel, from the engine's side to the peer's. The sha256 of what arrived, and of what was
    sent."""
    data = os.urandom(size)
    got = hashlib.sha256()
    with pair.peer.listen((address, PORT), timeout=timeout) as listener:

        def receive():
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(timeout)
                while True:
                    part = sock.recv(1 << 20)
                    if not part:
                        return
                    got.update(part)

        thread = threading.Thread(target=receive, daemon=True)
        thread.start()
        with pair.engine.connect((address, PORT), timeout=timeout) as sock:
            sock.settimeout(timeout)
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            thread.join(timeout)
        check(not thread.is_alive(), "the receiver did not see the end")
    return got.hexdigest(), hashlib.sha256(data).hexdigest()


def share(counts, what):
    return 100 * counts[what] / counts["seen"]


@case("a relay without faults loses nothing and changes nothing, over IPv4 and IPv6")
def _():
    need("ethtool")
    with Wired() as pair:
        for address in (PEER, PEER6):
            with pair.relay() as relay:
                got, sent = transfer(pair, PAYLOAD, address)
                equal("sha256", got, sent)
                counts = relay.finish()
            for way in ("w0>w1", "w1>w0"):
                c = counts[way]
                check(c["seen"] > 10, "only %d frames passed %s", c["seen"], way)  # few ACKs under load
                equal("sent of seen, " + way, c["sent"], c["seen"])
                equal("lost", c["lost"] + c["too_long"] + c["no_room"] + c["overflowed"], 0)


@case("loss, reordering, duplication and corruption are as often as asked, in the direction asked for")
def _():
    need("ethtool")
    with Wired() as pair:
        with pair.relay("--seed", 7, "--ab", "--loss", 3, "--reorder", 5, "--dup", 2, "--corrupt", 1,
                        "--ba", "--loss", 1) as relay:
            got, sent = transfer(pair, 4 * PAYLOAD)
            equal("sha256", got, sent)
            counts = relay.finish()
        there, back = counts["w0>w1"], counts["w1>w0"]
        for what, percent in (("lost", 3), ("reordered", 5), ("doubled", 2), ("corrupted", 1)):
            check(percent / 2 < share(there, what) < percent * 2, "%s: %.2f %% instead of %d %%",
                  what, share(there, what), percent)
        check(0.2 < share(back, "lost") < 3, "lost on the way back: %.2f %%", share(back, "lost"))
        equal("the rest of the way back",
              back["reordered"] + back["doubled"] + back["corrupted"], 0)


@case("losses in bursts come in the share that the odds of their begin and end give")
def _():
    need("ethtool")
    with Wired() as pair:
        with pair.relay("--ab", "--burst", "0.5,20") as relay:
            got, sent = transfer(pair, 4 * PAYLOAD)
            equal("sha256", got, sent)
            there = relay.finish()["w0>w1"]
        check(0.8 < share(there, "lost") < 6, "lost: %.2f %% instead of 2.4 %%", share(there, "lost"))


@case("a rate is kept, a delay is waited for, and a short queue overflows")
def _():
    need("ethtool")
    with Wired() as pair:
        with pair.relay("--both", "--delay-ms", 20, "--ab", "--rate-mbit", 20, "--queue-kb",
                        32) as relay:
            started = time.monotonic()
            with pair.peer.listen((PEER, PORT)) as listener:
                with pair.engine.connect((PEER, PORT)):
                    check(time.monotonic() - started >= 0.04, "a handshake within less than the RTT")
                    listener.accept()[0].close()
            started = time.monotonic()
            got, sent = transfer(pair, PAYLOAD)
            equal("sha256", got, sent)
            took = time.monotonic() - started
            check(took >= PAYLOAD * 8 / 20e6, "%d bytes passed within %.2f s", PAYLOAD, took)
            there = relay.finish()["w0>w1"]
        check(there["overflowed"] > 0, "the queue never overflowed")


@case("a jumbo frame passes where the MTU allows it; what is too long for the other end is counted")
def _():
    need("ethtool", "ping")
    with Wired(mtu=9000) as pair:
        with pair.relay() as relay:
            got, sent = transfer(pair, PAYLOAD)
            equal("sha256", got, sent)
            counts = relay.finish()["w0>w1"]
        check(counts["seen"] < PAYLOAD / 4000, "%d frames are too many for an MTU of 9000",
              counts["seen"])
        run("ip", "link", "set", "w1", "mtu", "1500", ns=pair.wire)
        with pair.relay() as relay:
            equal("answers to a ping of 4000 bytes", ping(pair, PEER, size=4000, ns=pair.engine), 0)
            # the end of the transfer may be sent once more
            check(relay.finish()["w0>w1"]["too_long"] > 0, "no frame was counted as too long")


@case("the relay ends when an interface goes away")
def _():
    need("ethtool")
    with Wired() as pair, pair.relay() as relay:
        run("ip", "link", "del", "w1", ns=pair.wire)
        equal("exit status", relay.wait(10), 1)


main()
