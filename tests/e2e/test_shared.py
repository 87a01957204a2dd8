#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_shared.py - the engine on the addresses that its interface has in the kernel: both get what is
theirs, and neither notices the other. Addresses, routes, neighbours and ports are the kernel's.

On the engine's side 10.77.0.3 and fd77::3 are the kernel's, and so the engine's as well.
"""
import threading

from lib import *

SHARED = NEIGHBOUR
SHARED6 = "fd77::3"
BOTH = (SHARED, SHARED6)
FAR, FAR6 = "10.88.0.1", "fd88::1"  # behind the peer


class Shared(Millrace):
    """`millrace COMMAND --shared` on v0; ready when it is attached."""

    def __init__(self, pair, command, *args, attached=True, stdin=subprocess.DEVNULL, stdout=None):
        self.pair = pair
        self._attached = attached
        check(os.path.exists(MILLRACE), "%s is not built: run make", MILLRACE)
        Process.__init__(self, [MILLRACE, command, "-i", "v0", "--shared", "--stats", "-vv",
                                *map(str, args)],
                         ns=pair.engine, stdin=stdin, stdout=stdout, name="millrace " + command)

    def started(self):
        if not self._attached:
            return
        wait_for("the engine to be attached", lambda: not self.alive() or " on " in self.stderr(),
                 20)
        check(self.alive(), "millrace ended at once: %s", self.stderr())


def shared_pair(**kwargs):
    return Pair(v6=True, **kwargs)


@contextlib.contextmanager
def pair_with_addresses(**kwargs):
    with shared_pair(**kwargs) as pair:
        run("ip", "addr", "add", SHARED6 + "/64", "dev", "v0", "nodad", ns=pair.engine)
        yield pair


@contextlib.contextmanager
def far_network(pair):
    """A network behind the peer, with one host; the engine's side has no route to it yet."""
    far = Namespace(pair.peer.name[:-1] + "f")
    run("ip", "netns", "add", far.name)
    try:
        run("ip", "link", "add", "v2", "netns", pair.peer.name, "type", "veth", "peer", "name", "v3",
            "netns", far.name)
        for ns, dev, addr, addr6 in ((pair.peer, "v2", "10.88.0.254/24", "fd88::254/64"),
                                     (far, "v3", FAR + "/24", FAR6 + "/64")):
            run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0",
                "net.ipv6.conf.default.accept_dad=0", ns=ns)
            run("ip", "addr", "add", addr, "dev", dev, ns=ns)
            run("ip", "addr", "add", addr6, "dev", dev, "nodad", ns=ns)
            run("ip", "link", "set", dev, "up", ns=ns)
        run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", ns=pair.peer)
        run("ip", "route", "add", "default", "via", "10.88.0.254", ns=far)
        run("ip", "-6", "route", "add", "default", "via", "fd88::254", ns=far)
        yield far
    finally:
        run("ip", "netns", "del", far.name, ok=False)


def routes_to_far(pair, what):
    run("ip", "route", what, "10.88.0.0/24", "via", PEER, ns=pair.engine)
    run("ip", "-6", "route", what, "fd88::/64", "via", PEER6, ns=pair.engine)


def say(sock, text=b"hello"):
    sock.sendall(text)
    got = b""
    while len(got) < len(text):
        piece = sock.recv(100)
        check(piece, "the connection ended")
        got += piece
    equal("echo", got, text)


def hello(ns, address, port=PORT, timeout=5):
    with ns.connect((address, port), timeout) as sock:
        say(sock)


class KernelEcho:
    """A kernel TCP server on the engine's side, as sshd is one: it echoes, in threads."""

    def __init__(self, ns, port, address=SHARED):
        self.listener = ns.listen((address, port))
        self.socks = []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                sock.settimeout(30)
                self.socks.append(sock)
                threading.Thread(target=self._echo, args=(sock,), daemon=True).start()

    def _echo(self, sock):
        with contextlib.suppress(OSError):
            while data := sock.recv(4096):
                sock.sendall(data)

    def stop_listening(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.stop_listening()
        for sock in self.socks:
            sock.close()


class Undisturbed:
    """Everything else that goes on between the two kernels, all the time that the block takes: ssh-like
    TCP and UDP on other ports, ping, ARP."""

    def __init__(self, pair):
        self.pair = pair
        self.errors = []
        self.rounds = 0
        self.stop = threading.Event()

    def __enter__(self):
        self.server = KernelEcho(self.pair.engine, 2222)
        self.server6 = KernelEcho(self.pair.engine, 2222, SHARED6)
        self.udp = self.pair.engine.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((SHARED, 2222))
        self.udp.settimeout(0.2)
        self.conns = [self.pair.peer.connect((a, 2222)) for a in BOTH]
        self.ask = self.pair.peer.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.ask.settimeout(5)
        self.threads = [threading.Thread(target=t, daemon=True) for t in (self._echo, self._run)]
        for thread in self.threads:
            thread.start()
        return self

    def _echo(self):
        while not self.stop.is_set():
            with contextlib.suppress(TimeoutError):
                data, peer = self.udp.recvfrom(2048)
                self.udp.sendto(data, peer)

    def _run(self):
        try:
            while not self.stop.is_set():
                for conn in self.conns:
                    say(conn, b"ssh goes on")
                self.ask.sendto(b"udp", (SHARED, 2222))
                equal("UDP echo", self.ask.recv(100), b"udp")
                if self.rounds % 16 == 0:
                    check(self.pair.arp(SHARED), "no answer to ARP")
                    for address in BOTH:
                        equal("echo replies of " + address, ping(self.pair, address), 1)
                self.rounds += 1
        except Exception as error:
            self.errors.append(repr(error))

    def __exit__(self, kind, *_exc):
        self.stop.set()
        for thread in self.threads:
            thread.join(20)
        for sock in (*self.conns, self.udp, self.ask):
            sock.close()
        self.server.__exit__()
        self.server6.__exit__()
        if not kind:
            check(not self.errors, "the kernel's own traffic was disturbed: %s", self.errors)
            check(self.rounds > 3, "only %d rounds", self.rounds)


@case("a server on shared addresses, IPv4 and IPv6, while everything else of the kernel's goes on")
def _():
    with pair_with_addresses() as pair, scratch() as www, Undisturbed(pair):
        wanted = make_file(os.path.join(www, "f"), 32 * MIB)
        with Shared(pair, "serve", "--port", PORT, www) as server:
            for address in BOTH:
                equal("sha256 from " + address, download(pair, "f", address=address), wanted)
            counters = server.finish()
        check(counters["tcp.passive_opens"] == 2, "%s", counters)
        equal("neighbours that the engine asked for by itself",
              counters["arp.requests_out"] + counters["nd.solicits_out"], 0)
        equal("XDP", pair.xdp(), None)


@case("a client from shared addresses; its ports are the kernel's, and held there meanwhile")
def _():
    with pair_with_addresses() as pair, Undisturbed(pair):
        for peer, own in ((PEER, SHARED), (PEER6, SHARED6)):
            with pair.peer.listen((peer, PORT)) as listener, \
                    Shared(pair, "nc", peer, PORT, attached=False) as client:
                sock, source = listener.accept()
                with sock:
                    equal("source address", source[0], own)
                    low, high = (int(n) for n in run("sysctl", "-n",
                                                     "net.ipv4.ip_local_port_range",
                                                     ns=pair.engine).stdout.split())
                    check(low <= source[1] <= high, "port %d is none of the kernel's", source[1])
                    with pair.engine.socket(socket.AF_INET6 if ":" in own else socket.AF_INET,
                                            socket.SOCK_STREAM) as rival:
                        try:
                            rival.bind((own, source[1]))
                            raise Failure("the kernel has given the port away")
                        except OSError as error:
                            equal("errno", error.errno, 98)
                    sock.sendall(b"x" * 100000)
                wait_for("100,000 bytes", lambda: len(client.stdout()) == 100000)
                client.stop()


@case("connections that the kernel has on a port live on when the port becomes ours")
def _():
    with pair_with_addresses() as pair, contextlib.ExitStack() as stack:
        servers = [stack.enter_context(KernelEcho(pair.engine, PORT, a)) for a in BOTH]
        old = [stack.enter_context(pair.peer.connect((a, PORT))) for a in BOTH]
        for sock in old:
            say(sock)
        for server in servers:
            server.stop_listening()
        with Shared(pair, "echo", "--port", PORT) as server:
            for turn in range(6):
                for sock in old:
                    say(sock, b"old connection, turn %d" % turn)
                for address in BOTH:
                    hello(pair.peer, address)
                time.sleep(0.7)  # beyond the time that an opened port is watched in any case
            counters = server.counters()
            equal("connections to the engine", counters["tcp.passive_opens"], 12)
            check(counters["xdp.pass_kernel"] >= 12, "%s", counters)
            for sock in old:
                sock.close()
            wait_for("the port to be the engine's alone", lambda: mark(server) == mark(server), 40, 1)
            server.finish()


def mark(server):
    """How many packets were looked up in the kernel while one connection came and went."""
    before = server.counters()["xdp.pass_kernel"]
    for address in BOTH:
        hello(server.pair.peer, address)
    return server.counters()["xdp.pass_kernel"] - before


@case("after kill -9 the kernel has its ports and its interface back at once")
def _():
    with pair_with_addresses() as pair, Undisturbed(pair):
        for _ in range(3):
            with Shared(pair, "echo", "--port", PORT) as server, \
                    pair.peer.connect((SHARED, PORT)) as orphan:
                say(orphan)
                server.kill()
                wait_for("the XDP program to be gone", lambda: pair.xdp() is None, timeout=1)
            with KernelEcho(pair.engine, PORT):
                hello(pair.peer, SHARED)


@case("a port is given out once: the kernel's servers and ours refuse each other's")
def _():
    with pair_with_addresses() as pair:
        with KernelEcho(pair.engine, PORT, "0.0.0.0"):
            with Shared(pair, "echo", "--port", PORT, attached=False) as server:
                equal("exit status", server.wait(), 1)
                check("Address already in use" in server.stderr(), "%s", server.stderr())
        with Shared(pair, "echo", "--port", PORT):
            for address in ("0.0.0.0", SHARED, "::", SHARED6):
                try:
                    with pair.engine.listen((address, PORT)):
                        raise Failure("the kernel listens, too, on " + address)
                except OSError as error:
                    equal("errno on " + address, error.errno, 98)


@case("through a gateway: a server and a client, IPv4 and IPv6, and a route that comes and goes")
def _():
    with pair_with_addresses() as pair, far_network(pair) as far, scratch() as www:
        wanted = make_file(os.path.join(www, "f"), 4 * MIB)
        with Shared(pair, "serve", "--port", PORT, www) as server:
            try:
                far.connect((SHARED, PORT), timeout=1.5).close()
                raise Failure("an answer without a route")
            except TimeoutError:
                pass
            routes_to_far(pair, "add")
            for address in BOTH:
                done = run("curl", "-sS", "--globoff", "--max-time", "10", "--fail",
                           "--output", os.path.join(www, "got"), url("f", address), ns=far,
                           timeout=15, ok=False)
                check(done.returncode == 0, "curl from afar: %s", done.stderr)
                equal("sha256", sha256_file(os.path.join(www, "got")), wanted)
            server.finish()
        for address in (FAR, FAR6):
            with far.listen((address, PORT)) as listener, \
                    Shared(pair, "nc", address, PORT, attached=False) as client:
                sock, _ = listener.accept()
                sock.sendall(b"from afar")
                wait_for("nine bytes", lambda: client.stdout() == b"from afar")
                sock.close()
                client.stop()
        routes_to_far(pair, "del")
        for address in (FAR, FAR6):
            with Shared(pair, "nc", address, PORT, attached=False) as client:
                equal("exit status", client.wait(), 1)
                check("unreachable" in client.stderr(), "%s", client.stderr())


@case("an upload to a shared address that a router cuts into fragments arrives whole; the kernel's ping in fragments, too")
def _():
    with pair_with_addresses() as pair, scratch() as www, scratch() as up, far_host(pair, SHARED) as far:
        run("ip", "route", "add", "192.0.2.0/24", "via", PEER, ns=pair.engine)
        wanted = make_file(os.path.join(www, "f"), 8 * MIB)
        with Shared(pair, "serve", "--port", PORT, "--upload", up, www) as server:
            run("ping", "-c", "3", "-i", "0.2", "-s", "3000", SHARED, ns=far)
            run("curl", "-sS", "-m", "20", "-T", os.path.join(www, "f"), url("got", SHARED), ns=far, timeout=25)
            equal("upload", sha256_file(os.path.join(up, "got")), wanted)
            counters = server.finish()
        check(counters["ip.reassembled"] > 5000, "reassembled: %r", counters)
        equal("drop.ip_frag_timeout", counters["drop.ip_frag_timeout"], 0)
        check(counters["xdp.pass_fragment"] >= 6, "the kernel's fragments: %r", counters)


@case("of two routes the metric decides, and another interface's is not ours")
def _():
    with pair_with_addresses() as pair, far_network(pair):
        run("ip", "link", "add", "d0", "type", "veth", "peer", "name", "d1", ns=pair.engine)
        for dev in ("d0", "d1"):
            run("ip", "link", "set", dev, "up", ns=pair.engine)
        run("ip", "addr", "add", "10.99.0.1/24", "dev", "d0", ns=pair.engine)
        run("ip", "route", "add", "10.88.0.0/24", "dev", "d0", "metric", 50, ns=pair.engine)
        run("ip", "route", "add", "10.88.0.0/24", "via", PEER, "metric", 100, ns=pair.engine)
        with Shared(pair, "nc", FAR, PORT, attached=False) as client:
            equal("exit status", client.wait(), 1)
            check("unreachable" in client.stderr(), "%s", client.stderr())
        run("ip", "route", "del", "10.88.0.0/24", "dev", "d0", ns=pair.engine)
        with Shared(pair, "nc", FAR, PORT, attached=False) as client:
            equal("exit status", client.wait(), 1)
            check("refused" in client.stderr(), "%s", client.stderr())
        with Shared(pair, "nc", "10.99.0.1", PORT, attached=False) as client:
            equal("exit status", client.wait(), 1)
            check("unreachable" in client.stderr(), "%s", client.stderr())


def slow_shared_download(pair, size, address=SHARED):
    """A transfer in its middle, as in test_life.py."""
    stack = contextlib.ExitStack()
    with stack:
        www = stack.enter_context(scratch())
        wanted = make_file(os.path.join(www, "f"), size)
        server = stack.enter_context(Shared(pair, "serve", "--port", PORT, "--rate", "160mbit", www))
        out = os.path.join(www, "got")
        curl = stack.enter_context(Process(
            ["curl", "-sS", "--globoff", "--fail", "--max-time", "60", "-o", out,
             url("f", address)], ns=pair.peer))
        wait_for("the transfer's first MiB",
                 lambda: os.path.exists(out) and os.path.getsize(out) > MIB)
        curl.out, curl.wanted = out, wanted
        yield server, curl


slow_shared_download = contextlib.contextmanager(slow_shared_download)


def finished(curl):
    status = curl.wait(50)
    check(status == 0, "curl: status %d: %s", status, curl.stderr())
    equal("sha256", sha256_file(curl.out), curl.wanted)


for _address in BOTH:
    def _flush(address=_address):
        with pair_with_addresses() as pair, \
                slow_shared_download(pair, 32 * MIB, address) as (server, curl):
            flushes = 0
            while curl.alive() and flushes < 60:
                # It gives up (255) where entries come back faster than it removes them.
                run("ip", "neigh", "flush", "dev", "v0", ns=pair.engine, ok=False)
                flushes += 1
                time.sleep(0.02)
            check(flushes > 10, "the transfer was over too soon")
            finished(curl)
            counters = server.finish()
            equal("neighbours that failed", counters["neigh.failed"], 0)

    case("the kernel's neighbours are flushed in mid-transfer: it goes on (%s)" % _address)(_flush)


@case("the interface goes down and up in mid-transfer: it goes on")
def _():
    with pair_with_addresses() as pair, slow_shared_download(pair, 48 * MIB) as (server, curl):
        pair.down()
        time.sleep(0.7)
        check(server.alive(), "the process ended when the link went down")
        pair.up()
        finished(curl)
        server.finish()


@case("an address comes: a listener on any serves it. It goes: its connections wait for it to come back")
def _():
    with pair_with_addresses() as pair, Shared(pair, "echo", "--port", PORT) as server:
        for address, prefix in (("10.77.0.9", 24), ("fd77::9", 64)):
            run("ip", "addr", "add", "%s/%d" % (address, prefix), "dev", "v0",
                *(["nodad"] if ":" in address else []), ns=pair.engine)
            wait_for("the engine to know of " + address,
                     lambda: "the address %s is there" % address in server.stderr())
            with pair.peer.connect((address, PORT)) as sock:
                say(sock)
                run("ip", "addr", "del", "%s/%d" % (address, prefix), "dev", "v0", ns=pair.engine)
                wait_for("the engine to know that %s is gone" % address,
                         lambda: "the address %s is gone" % address in server.stderr())
                sock.sendall(b"anybody there?")
                sock.settimeout(1)
                try:
                    raise Failure("an answer of %r from an address that is gone" % sock.recv(100))
                except TimeoutError:
                    pass
                run("ip", "addr", "add", "%s/%d" % (address, prefix), "dev", "v0",
                    *(["nodad"] if ":" in address else []), ns=pair.engine)
                sock.settimeout(30)
                equal("the answer, late", sock.recv(100), b"anybody there?")
        server.finish()


@case("an interface without addresses is served as soon as it has one")
def _():
    with pair_with_addresses() as pair:
        run("ip", "addr", "flush", "dev", "v0", ns=pair.engine)
        with Shared(pair, "echo", "--port", PORT, attached=False) as server:
            wait_for("a word on it", lambda: "v0 has no address" in server.stderr())
            run("ip", "addr", "add", SHARED + "/24", "dev", "v0", ns=pair.engine)
            wait_for("the address", lambda: "%s is there" % SHARED in server.stderr())
            hello(pair.peer, SHARED)
            server.finish()


@case("a listener on one address leaves the port of the others to the kernel")
def _():
    with pair_with_addresses() as pair:
        run("ip", "addr", "add", "10.77.0.9/24", "dev", "v0", ns=pair.engine)
        with Shared(pair, "nc", "-l", "10.77.0.9", PORT, attached=False) as server, \
                KernelEcho(pair.engine, PORT, SHARED):
            wait_for("XDP", lambda: pair.xdp())
            hello(pair.peer, SHARED)
            sock = wait_for("the engine's", lambda: try_connect(pair, "10.77.0.9"))
            with sock:
                hello(pair.peer, SHARED)
                sock.sendall(b"ours")
                wait_for("four bytes", lambda: server.stdout() == b"ours")
            server.wait()


def try_connect(pair, address):
    with contextlib.suppress(OSError):
        return pair.peer.connect((address, PORT))


@case("a neighbour that is not there fails a connect as the kernel would: no route to host")
def _():
    with pair_with_addresses() as pair:
        for address in ("10.77.0.99", "fd77::99"):
            with Shared(pair, "nc", address, PORT, attached=False) as client:
                equal("exit status", client.wait(15), 1)
                check("No route to host" in client.stderr(), "%s", client.stderr())


CONNECT = """if 1:
    import socket, sys
    try:
        socket.create_connection((sys.argv[1], 8080), 10)
    except OSError as e:
        print(e.strerror or e)
"""


@case("a connection that a router or firewall rejects fails at once with the kernel's reason")
def _():
    with pair_with_addresses() as pair, far_network(pair):
        routes_to_far(pair, "add")
        run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0", ns=pair.peer)
        for route in ("prohibit", "unreachable"):
            for family, address in ((4, "10.88.0.99"), (6, "fd88::99")):
                run("ip", "-%d" % family, "route", "add", route, address, ns=pair.peer)
                reason = run("python3", "-c", CONNECT, address, ns=pair.engine).stdout.strip()
                check(reason not in ("", "timed out"), "the kernel was not told: %s", reason)
                with Shared(pair, "nc", address, PORT, attached=False) as client:
                    equal("exit status", client.wait(15), 1)
                    check(reason in client.stderr(), "the kernel: %s, the engine: %s", reason, client.stderr())
                run("ip", "-%d" % family, "route", "del", route, address, ns=pair.peer)


@case("an ICMP error about our connection comes to us: a path MTU that is smaller is learned")
def _():
    with pair_with_addresses() as pair, far_network(pair) as far, scratch() as www:
        wanted = make_file(os.path.join(www, "f"), 2 * MIB)
        routes_to_far(pair, "add")
        run("ip", "link", "set", "v2", "mtu", 1400, ns=pair.peer)
        run("ip", "link", "set", "v3", "mtu", 1400, ns=far)
        # The far end must not say so itself, by its MSS.
        run("ip", "route", "replace", "default", "via", "10.88.0.254", "advmss", 1460, ns=far)
        with Shared(pair, "serve", "--port", PORT, www) as server:
            got = os.path.join(www, "got")
            run("curl", "-sS", "--max-time", "20", "--fail", "-o", got, url("f", SHARED), ns=far,
                timeout=25)
            equal("sha256", sha256_file(got), wanted)
            counters = server.finish()
        check(counters["icmp.errors_in"] > 0, "no ICMP error came: %s", counters)


FIREWALL = """
table inet guard {
	chain ssh {
		tcp dport 22 drop
		tcp dport 23 reject
	}
	chain input {
		type filter hook input priority 0; policy accept;
		ct state established accept
		jump ssh
	}
	chain forward {
		type filter hook forward priority 0; policy drop;
		drop
	}
}
table ip harmless {
	chain input {
		type filter hook input priority 10; policy accept;
		tcp dport 80 counter accept
	}
	chain unused {
		drop
	}
}
"""


@case("a firewall that is passed by is said once, with its place; --ignore-firewall is quiet")
def _():
    need("nft")
    with pair_with_addresses() as pair:
        def said(*args):
            with Shared(pair, "echo", "--port", PORT, *args) as server:
                hello(pair.peer, SHARED)
                server.finish()
                return [line for line in server.stderr().splitlines() if "firewall" in line]

        equal("lines without a firewall", said(), [])
        run("nft", "-f", "-", stdin=FIREWALL, ns=pair.engine)
        lines = said()
        equal("lines", len(lines), 1)
        check("2 rules that can stop packets: inet guard input (2);" in lines[0], "%s", lines[0])
        equal("lines that are not wanted", said("--ignore-firewall"), [])
        run("nft", "flush", "ruleset", ns=pair.engine)
        if shutil.which("iptables-nft"):
            run("iptables-nft", "-A", "INPUT", "-p", "tcp", "--dport", "5", "-j", "REJECT",
                ns=pair.engine)
            check("ip filter INPUT (1)" in said()[0], "iptables is not seen")
            run("iptables-nft", "-F", ns=pair.engine)
            run("iptables-nft", "-P", "INPUT", "DROP", ns=pair.engine)
            check("ip filter INPUT (1)" in said()[0], "a policy is not seen")


def iperf(pair, *args):
    """Gbit/s of another program's TCP, from the peer to the engine's host (or with -R back)."""
    done = run("iperf3", "-J", "-c", SHARED, "-p", 5301, "-t", 2, "-O", 1, *args, ns=pair.peer,
               timeout=20)
    return json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"] / 1e9


@case("another program's bulk TCP over the same interface: told, before and while attached",
      timeout=120)
def _():
    need("iperf3")
    with pair_with_addresses() as pair, \
            Process(["iperf3", "-s", "-p", "5301"], ns=pair.engine):
        time.sleep(0.5)
        for way, args in (("towards us", ()), ("from us", ("-R",))):
            alone, beside = [], []
            for _ in range(2):
                alone.append(iperf(pair, *args))
                with Shared(pair, "echo", "--port", PORT):
                    beside.append(iperf(pair, *args))
            note("%s: %.1f Gbit/s alone, %.1f beside a Millrace (%+.1f %%)"
                 % (way, max(alone), max(beside), 100 * (max(beside) / max(alone) - 1)))


if __name__ == "__main__":
    main()
