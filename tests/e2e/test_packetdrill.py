#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_packetdrill.py - the scripts of tests/packetdrill: packetdrill's calls go to the stack by `millrace run`, and its
packets come from the other end of a veth pair (its wire mode).

packetdrill is looked for on the PATH, or is what PACKETDRILL names. Debian has no package of it, so `make test` does
not ask for it; its source is github.com/google/packetdrill. Without it no script counts as passed. KERNEL=1 runs the
scripts on the kernel's own stack, to see that they ask no more than Linux does.

A line of a script "// sysctl: NAME=VALUE" is set before the stack starts, where the kernel has that setting.
"""
import glob
import os
import re
import shutil

from lib import *

PACKETDRILL = shutil.which(os.environ.get("PACKETDRILL", "packetdrill"))
SCRIPTS = sorted(glob.glob(os.path.join(ROOT, "tests/packetdrill/*.pkt")))
ON_KERNEL = bool(os.environ.get("KERNEL"))

REMOTE = "192.0.2.1"  # behind the peer, and nobody there who would answer by himself
CONTROL = ("10.78.0.1", "10.78.0.2")  # packetdrill here and there talk to each other
CONTROL_PORT = 8081
TOLERANCE_US = 60000  # what a busy machine may be late


@contextlib.contextmanager
def wire_pair():
    """A pair, the way to REMOTE, and a second veth pair for packetdrill itself."""
    with Pair() as pair:
        run("ip", "link", "add", "c0", "netns", pair.engine.name, "type", "veth", "peer", "name", "c1",
            "netns", pair.peer.name)
        for ns, dev, address in ((pair.engine, "c0", CONTROL[0]), (pair.peer, "c1", CONTROL[1])):
            run("ip", "addr", "add", address + "/24", "dev", dev, ns=ns)
            run("ip", "link", "set", dev, "up", ns=ns)
        run("ip", "route", "add", REMOTE, "via", PEER, ns=pair.engine)
        # What the scripts' window scale comes from, wherever the machine has other defaults.
        run("sysctl", "-qw", "net.ipv4.tcp_rmem=4096 131072 6291456", ns=pair.engine)
        # A packet of the script is a packet of the wire.
        run("ethtool", "-K", "v0", "tso", "off", "gso", "off", ns=pair.engine)
        run("ethtool", "-K", "v1", "tx", "off", "gro", "off", ns=pair.peer)
        yield pair


def settings(script):
    with open(script, encoding="utf-8") as f:
        return re.findall(r"^// sysctl: (\S+)=(\S+)$", f.read(), re.MULTILINE)


def claim(script):
    with open(script, encoding="utf-8") as f:
        return "%s: %s" % (os.path.basename(script), f.readline()[3:].strip())


def play(script):
    options = ["--tolerance_usecs=%d" % TOLERANCE_US, "--ip_version=ipv4", "--local_ip=" + NEIGHBOUR,
               "--gateway_ip=" + PEER, "--netmask_ip=255.255.255.0", "--remote_ip=" + REMOTE]
    under = [] if ON_KERNEL else [MILLRACE, "run", "-i", "v0", "--"]
    with wire_pair() as pair:
        for name, value in settings(script):
            run("sysctl", "-qw", "%s=%s" % (name, value), ns=pair.engine, ok=False)
        with Process([PACKETDRILL, "--wire_server", "--wire_server_dev=v1", *options], ns=pair.peer) as server:
            wait_for("packetdrill listens", lambda: ":%d" % CONTROL_PORT in
                     run("ss", "-Hltn", ns=pair.peer).stdout)
            done = run(*under, PACKETDRILL, "--wire_client", "--wire_client_dev=v0", "--wire_server_ip=" + CONTROL[1],
                       "--send_omit_free", *options, script, ns=pair.engine, timeout=50, ok=False)
            server.kill()
    check(done.returncode == 0, "status %d: %s", done.returncode, last_words(done.stderr or done.stdout))


if PACKETDRILL:
    need("ethtool")
    for path in SCRIPTS:
        case(claim(path))(lambda script=path: play(script))
else:
    @case("%d packetdrill scripts" % len(SCRIPTS))
    def _():
        raise Skip("packetdrill is not installed, and none of them was run")

main()
