# SPDX-License-Identifier: BSD-2-Clause
"""
badwire.py - a Pair whose two ends are joined by tests/tools/relay: everything between the engine, or
the kernel beside it, and the peer crosses a wire that is as bad as the test says.

    engine side, v0 ---- w0  wire  w1 ---- v1, peer side
    10.77.0.2 and fd77::2 the engine's, 10.77.0.3 and fd77::3 the kernel's on the same interface
    10.77.0.1 and fd77::1 the peer's
"""
import re
import select
import threading

from lib import *

KERNEL6 = "fd77::3"


class Wired(Pair):
    """The wire itself comes with relay()."""

    def __init__(self, mtu=1500):
        super().__init__(mtu=mtu, v6=True, peer_tx_csum=False, peer_tso=False)
        self.wire = Namespace("mr-e2e-%d-%dw" % (os.getpid(), Pair.made))

    def _make(self):
        for ns in (self.engine, self.wire, self.peer):
            run("ip", "netns", "add", ns.name)
            run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=%d" % (ns is self.wire),
                "net.ipv6.conf.default.disable_ipv6=%d" % (ns is self.wire),
                "net.ipv6.conf.default.accept_dad=0", ns=ns)
            run("ip", "link", "set", "lo", "up", ns=ns)
        for ns, end, other in ((self.engine, "v0", "w0"), (self.peer, "v1", "w1")):
            run("ip", "link", "add", end, "netns", ns.name, "mtu", str(self.mtu), "type", "veth",
                "peer", "name", other, "netns", self.wire.name, "mtu", str(self.mtu))
            # The relay joins what the hosts believe to be one cable: no super-frames, no unfinished sums.
            for dev, where in ((end, ns), (other, self.wire)):
                run("ethtool", "-K", dev, "tx", "off", "tso", "off", "gso", "off", "gro", "off",
                    ns=where, ok=False)
        run("ip", "addr", "add", "%s/%d" % (NEIGHBOUR, PREFIX), "dev", "v0", ns=self.engine)
        run("ip", "addr", "add", KERNEL6 + "/64", "dev", "v0", "nodad", ns=self.engine)
        run("ip", "addr", "add", "%s/%d" % (PEER, PREFIX), "dev", "v1", ns=self.peer)
        run("ip", "addr", "add", PEER6 + "/64", "dev", "v1", "nodad", ns=self.peer)
        for dev in ("w0", "w1"):
            run("ip", "link", "set", dev, "up", ns=self.wire)
        self.up()

    def __exit__(self, *exc):
        if os.path.exists("/run/netns/" + self.wire.name):
            run("ip", "netns", "del", self.wire.name, ok=False)
        super().__exit__(*exc)

    def relay(self, *faults):
        return Relay(self, faults)


class Relay(Process):
    """The wire, from its start to its end; "w0>w1" is the direction from the engine to the peer."""

    def __init__(self, pair, faults):
        tool = os.path.join(BUILD, "tests/tools/relay")
        check(os.path.exists(tool), "%s is not built: make tests", tool)
        super().__init__([tool, "w0", "w1", *map(str, faults)], ns=pair.wire)

    def started(self):
        wait_for("the relay", lambda: b"ready" in self.stdout() or not self.alive(), 20)
        check(self.alive(), "the relay did not start: %s", self.stderr())

    def finish(self):
        """End it. {direction: {what: frames}}"""
        equal("exit status of the relay", self.stop(10), 0)
        counts = {}
        for line in self.stdout().decode().splitlines():
            if ">" in line:
                way, rest = line.split(": ")
                counts[way] = {k: int(v) for k, v in re.findall(r"(\w+) (\d+)", rest)}
        return counts


# ---- Two flows over one bottleneck --------------------------------------------------------------


def choose(sock, control):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, control.encode())


def feed(listener, control):
    """Send zeros to whoever connects, until it goes."""
    sock, _ = listener.accept()
    choose(sock, control)
    with sock, contextlib.suppress(OSError):
        while True:
            sock.sendall(bytes(1 << 16))


def drain_both(socks, seconds):
    """Bytes that came on each, all over the same time."""
    got = dict.fromkeys(socks, 0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for sock in select.select(socks, [], [], 0.1)[0]:
            part = sock.recv(1 << 20)
            check(part, "a sender has ended")
            got[sock] += len(part)
    return [got[sock] for sock in socks]


@contextlib.contextmanager
def zeros(pair, *options):
    """A Millrace that has /zeros, which nobody ever reads to its end. It takes no room."""
    with scratch() as top:
        with open(os.path.join(top, "zeros"), "wb") as f:
            f.truncate(8 << 30)
        with serve(pair, top, "--rx-csum", "verify", *options) as server:
            yield server


def share(faults, control, against, kernel_first, ahead, settle, span):
    """Bytes that a flow of Millrace and one of the kernel beside it get of one wire in the same `span` seconds.
    The first is `ahead` before the other, and both have `settle` to find their shares."""
    with Wired() as pair, pair.relay(*faults), zeros(pair, "--congestion", control), \
            pair.engine.listen((NEIGHBOUR, PORT)) as listener:
        thread = threading.Thread(target=feed, args=(listener, against), daemon=True)
        thread.start()
        flows = {}
        for who in ("kernel", "millrace") if kernel_first else ("millrace", "kernel"):
            if who == "kernel":
                flows[who] = pair.peer.connect((NEIGHBOUR, PORT))
            else:
                flows[who] = pair.peer.connect((ENGINE, PORT))
                flows[who].sendall(b"GET /zeros HTTP/1.1\r\nHost: x\r\n\r\n")
            drain_both(list(flows.values()), ahead if len(flows) == 1 else settle)
        socks = [flows["millrace"], flows["kernel"]]
        got = drain_both(socks, span)
        for sock in socks:
            sock.close()
        thread.join(10)
    return got


def jain(a, b):
    return (a + b) ** 2 / (2 * (a * a + b * b))
