#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_run_programs.py - unmodified programs under `millrace run`, the kernel on the other end of a veth pair:
socket calls compared with the kernel's, one by one (tests/tools/posix_conf.c), then servers and clients as they
come from Debian.
"""
import difflib
import socket
import time

from lib import *
from runlib import *

CONF = os.path.join(BUILD, "tests/tools/posix_conf")


class Program(Process):
    """A server under millrace run (shim) or without, ready when its port answers the peer."""

    def __init__(self, pair, *argv, port, shim=True):
        self.pair, self.port = pair, port
        super().__init__(under(pair, *argv) if shim else list(argv), ns=pair.engine,
                         name=os.path.basename(argv[0]))

    def started(self):
        def answers():
            check(self.alive(), "%s has ended", self.name)
            with contextlib.suppress(OSError):
                self.pair.peer.connect((ENGINE, self.port), timeout=1).close()
                return True
        wait_for(self.name, answers, timeout=15)


# ---- Call by call -------------------------------------------------------------------------------


def conformance(pair, directory, local, peer, address=None):
    """The text of posix_conf, on the kernel's sockets or under the shim."""
    path = os.path.join(directory, "control")
    argv = [CONF, "run", path, local, peer]
    with Process([CONF, "peer", path], ns=pair.peer, name="peer"):
        wait_for("the peer", lambda: os.path.exists(path))
        done = run(*(under(pair, *argv, address=address) if address else argv), ns=pair.engine,
                   timeout=140)
    os.unlink(path)
    return done.stdout.splitlines()


def compare(pair, kernels, engines, peer, length):
    with scratch() as directory:
        want = conformance(pair, directory, kernels, peer)
        got = conformance(pair, directory, engines, peer, "%s/%d" % (engines, length))
    check(len(want) > 500, "only %d steps", len(want))
    for line in difflib.unified_diff(want, got, "kernel", "shim", n=3, lineterm=""):
        note(line)
    check(got == want, "the shim answers otherwise than the kernel")


@case("every socket call answers as the kernel's, IPv4", timeout=200)
def calls4():
    with Pair() as pair:
        compare(pair, NEIGHBOUR, ENGINE, PEER, 24)


@case("every socket call answers as the kernel's, IPv6", timeout=200)
def calls6():
    with Pair(v6=True) as pair:
        run("ip", "addr", "add", "fd77::3/64", "dev", "v0", "nodad", ns=pair.engine)
        compare(pair, "fd77::3", ENGINE6, PEER6, 64)


# ---- Option by option ---------------------------------------------------------------------------

# Options that the stack does not have: refused on a socket of its own (ENOPROTOOPT), which is left as it was. Set
# before, they keep a socket with the kernel.
REFUSED = {
    "SOL_SOCKET": {5, 25, 26, 29, 35, 36, 37, 42, 60, 62, 63, 64, 65},  # DONTROUTE, another device, a filter,
    # time stamps, SO_MARK, SO_PEEK_OFF, SO_ZEROCOPY
    "TCP": {14, 19, 27, 37},  # MD5SIG, REPAIR, SAVE_SYN, TX_DELAY
    "IP": {4, 11, 19, 21, 26},  # OPTIONS, RECVERR, TRANSPARENT, MINTTL, RECVERR_RFC4884
    "IPV6": {6, 25, 31, 33, 50, 54, 73, 75},  # 2292PKTOPTIONS, RECVERR, FLOWINFO_SEND, PKTINFO, HOPOPTS, ...
}
# Other departures, each harmless: (level, option, state).
DEPARTS = {
    ("SOL_SOCKET", 61, "accepted"),  # SO_TXTIME, which TCP does not use, is not inherited
    ("TCP", 13, "connected"),  # the congestion control of a connection cannot be changed: EPERM
    ("TCP", 21, "connected"),  # TCP_QUEUE_SEQ without TCP_REPAIR: another error
    ("TCP", 35, None),  # TCP_ZEROCOPY_RECEIVE is as in a kernel without it
    ("IP", 33, "accepted"),  # IP_MULTICAST_TTL of what is accepted is the route's
    ("IPV6", 1, "accepted"),  # IPV6_ADDRFORM: another error
    ("IPV6", 17, "accepted"),  # IPV6_MULTICAST_IF is the interface that the connection came by,
    ("IPV6", 18, "accepted"),  # and IPV6_MULTICAST_HOPS the route's
}
OPTION = re.compile(r"(\w+) (\d+) (\S*) (connected|listening|before connect|before listen|accepted): (\w+), now (.*)")


def option_answers(pair, local, peer, shim):
    with scratch() as directory:
        path = os.path.join(directory, "control")
        argv = ["python3", os.path.join(os.path.dirname(os.path.abspath(__file__)), "optconf.py"), path, local, peer]
        with Process([CONF, "peer", path], ns=pair.peer, name="peer"):
            wait_for("the peer", lambda: os.path.exists(path))
            done = run(*(shared(*argv, options=("--log", "/dev/null")) if shim else argv), ns=pair.engine, timeout=100)
    return done.stdout.splitlines()


def compare_options(pair, local, peer):
    want, got = option_answers(pair, local, peer, False), option_answers(pair, local, peer, True)
    check(len(want) > 1000, "only %d answers", len(want))
    equal("number of answers", len(got), len(want))
    refused, wrong = 0, []
    for kernels, ours in zip(want, got):
        if kernels == ours:
            continue
        level, option, _, state, err, _ = OPTION.match(ours).groups()
        option = int(option)
        if option in REFUSED[level] and err == "ENOPROTOOPT" and not state.startswith("before"):
            refused += 1
        elif not {(level, option, state), (level, option, None)} & DEPARTS:
            wrong.append("kernel: %s\nshim:   %s" % (kernels, ours))
    check(not wrong, "%s", "\n".join(wrong))
    check(refused > 30, "only %d options were refused: is the stack used at all?", refused)


@case("every option of SOL_SOCKET, TCP and IP answers as the kernel's, or is refused", timeout=150)
def options4():
    with Pair() as pair:
        compare_options(pair, SHARED, PEER)


@case("every option of SOL_SOCKET, TCP, IP and IPv6 answers as the kernel's, or is refused", timeout=150)
def options6():
    with Pair(v6=True) as pair:
        run("ip", "addr", "add", ENGINE6 + "/64", "dev", "v0", "nodad", ns=pair.engine)
        compare_options(pair, ENGINE6, PEER6)


# Set on a new socket: level, option, value, the reason in `millrace ss`.
KEEP = """if 1:
    import ctypes, os, socket, struct, sys, time
    program = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0xffffffff), 8)
    fprog = struct.pack("HxxxxxxP", 1, ctypes.addressof(program))
    one = struct.pack("i", 1)
    md5 = struct.pack("=HH4s", 2, 0, bytes((10, 9, 9, 9))).ljust(128, b"\\0") + struct.pack("BBHI", 0, 0, 1, 0) + b"k".ljust(80, b"\\0")
    rows = [(1, 26, fprog), (1, 51, fprog), (1, 36, one), (6, 14, md5), (6, 19, one), (0, 19, one), (0, 4, b"\\1" * 4),
            (1, 60, one), (1, 37, struct.pack("i", 16)), (1, 25, b"lo\\0"), (6, 27, one), (1, 25, b"v0\\0"), (1, 46, one)]
    socks = []
    for i, (level, name, value) in enumerate(rows):
        s = socket.socket()
        if level == 1 and name == 51:
            s.setsockopt(1, 15, one)
        s.setsockopt(level, name, value)
        s.bind(("0.0.0.0", 7100 + i))
        s = socket.socket(fileno=os.dup(s.detach()))
        s.listen()
        socks.append(s)
    print("ready", flush=True)
    time.sleep(1000)
"""
KEPT = ("a BPF filter is attached", "a BPF filter is attached", "SO_MARK is set", "TCP_MD5SIG is set", "TCP_REPAIR is set",
        "IP_TRANSPARENT is set", "IP_OPTIONS are set", "SO_ZEROCOPY is set", "time stamps were asked for",
        "bound to another device", "an option that the stack does not have was set", None, None)


@case("an option that the stack does not have keeps a socket with the kernel, and ss says which")
def kept():
    with Pair() as pair, Process(shared("python3", "-c", KEEP), ns=pair.engine, name="python3") as server:
        wait_for("its listeners", lambda: server.stdout() == b"ready\n")
        listed = {int(e["local"].rpartition(":")[2]): e
                  for e in json.loads(run(MILLRACE, "ss", "--json", ns=pair.engine).stdout)}
        for i, reason in enumerate(KEPT):
            e = listed[7100 + i]
            equal("reason of row %d" % i, e.get("reason"), reason)
            equal("row %d is the stack's" % i, e["accelerated"], reason is None)


KEEP_FIRST = """if 1:
    import socket, struct, time
    s = socket.socket()
    s.setsockopt(6, 14, struct.pack("=HH4s", 2, 0, bytes((10, 9, 9, 9))).ljust(128, b"\\0") +
                 struct.pack("BBHI", 0, 0, 1, 0) + b"k".ljust(80, b"\\0"))
    s.bind(("0.0.0.0", 7100))
    s.listen()
    print("ready", flush=True)
    time.sleep(1000)
"""


@case("the same when it was set on a program's first socket, which has not joined the stack before")
def kept_first():
    with Pair() as pair, Process(shared("python3", "-c", KEEP_FIRST), ns=pair.engine, name="python3") as server:
        wait_for("its listener", lambda: server.stdout() == b"ready\n")
        (entry,) = json.loads(run(MILLRACE, "ss", "--json", ns=pair.engine).stdout)
        equal("reason", entry.get("reason"), "TCP_MD5SIG is set")


FAST_CLIENT = """if 1:
    import socket, sys
    for way in "connect", "sendto", "sendto":
        s = socket.socket()
        if way == "connect":
            s.setsockopt(socket.IPPROTO_TCP, 30, 1)  # TCP_FASTOPEN_CONNECT
            s.connect((sys.argv[1], 7000))
            s.sendall(b"hello")
        else:
            assert s.sendto(b"hello", socket.MSG_FASTOPEN, (sys.argv[1], 7000)) == 5
        assert s.recv(10) == b"hello", "no answer"
        s.close()
"""
FAST_SERVER = """if 1:
    import socket
    l = socket.socket()
    l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    l.bind(("0.0.0.0", 7000))
    l.setsockopt(socket.IPPROTO_TCP, 23, 16)  # TCP_FASTOPEN
    l.listen()
    while True:
        s, _ = l.accept()
        s.sendall(s.recv(10))
        s.close()
"""


def netstat(ns, name):
    """A counter of the kernel's TCP in the namespace."""
    with ns.entered(), open("/proc/net/netstat") as f:
        for names, values in zip(*[iter(f)] * 2):
            if name in names.split():
                return int(values.split()[names.split().index(name)])
    raise Failure("there is no counter " + name)


# The congestion control of listeners, by name, for which a program has asked for the argument, or ("-") for none.
CONGESTION = """if 1:
    import socket, sys
    for name in sys.argv[1:]:
        s = socket.create_server(("", 0), backlog=1) if name == "-" else socket.socket()
        if name != "-":
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
            s.listen()
        print(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).split(b"\\0")[0].decode())
"""


@case("the congestion control is the program's choice, else that of --congestion, else the system's")
def congestion():
    with shared_pair() as pair:
        argv = ["python3", "-c", CONGESTION]
        kernels = run(*argv, "-", ns=pair.engine).stdout.strip()
        own = "cubic" if kernels == "reno" else "reno"
        run(*argv, own, ns=pair.engine)  # a name that this user may choose

        def on_stack(*names, options=()):
            return run(*shared(*argv, *names, options=options), ns=pair.engine).stdout.split()
        equal("with --congestion", on_stack("-", own, options=("--congestion", "dctcp")), ["dctcp", own])
        equal("without", on_stack("-", own), [kernels if kernels in ("cubic", "bbr", "reno", "dctcp") else "cubic", own])


REFUSALS = """if 1:
    import socket, sys
    for option in (29, 29, 60, 29, 60):  # SO_TIMESTAMP, SO_ZEROCOPY
        with socket.create_connection((sys.argv[1], 7000)) as s:
            try:
                s.setsockopt(socket.SOL_SOCKET, option, 1)
            except OSError as error:
                print(error.errno)
"""


@case("an option that is refused is told of once, however many connections it is set on")
def refused_options():
    with shared_pair() as pair, pair.peer.listen((PEER, 7000)):
        done = run(*shared("python3", "-c", REFUSALS, PEER), ns=pair.engine)
        equal("errors", done.stdout.split(), ["92"] * 5)  # ENOPROTOOPT
        for option in (29, 60):
            equal("messages about %d" % option, done.stderr.count("option %d of level 1 " % option), 1)


EPHEMERAL = """if 1:
    import socket, sys
    socks = [socket.create_connection((sys.argv[1], 7000)) for _ in range(8)]
    print(*sorted(s.getsockname()[1] for s in socks))
"""


@case("a client's ports are those of net.ipv4.ip_local_port_range")
def ephemeral_ports():
    with shared_pair() as pair:
        run("sysctl", "-qw", "net.ipv4.ip_local_port_range=50000 50007", ns=pair.engine)
        with pair.peer.listen((PEER, 7000)):
            ports = client(pair, "python3", "-c", EPHEMERAL, PEER).split()
        equal("ports", ports, [str(port) for port in range(50000, 50008)])


KERNELS_TIMES = """if 1:
    import socket, sys
    s = socket.socket()
    print(*(s.getsockopt(socket.IPPROTO_TCP, o) for o in (
        socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_SYNCNT, socket.TCP_LINGER2)))
    s.connect((sys.argv[1], 7000))
"""


@case("sockets begin with the kernel's keepalive, retries and FIN timeout, and its ECN policy")
def kernel_parameters():
    with shared_pair() as pair:
        for name, value in (("keepalive_time", 600), ("keepalive_intvl", 7), ("keepalive_probes", 4),
                            ("syn_retries", 3), ("fin_timeout", 20)):
            run("sysctl", "-qw", "net.ipv4.tcp_%s=%d" % (name, value), ns=pair.engine)
        with pair.peer.listen((PEER, 7000)), Capture(pair, "tcp", "port", "7000") as capture:
            for ecn in 0, 1:
                run("sysctl", "-qw", "net.ipv4.tcp_ecn=%d" % ecn, ns=pair.engine)
                equal("the options", client(pair, "python3", "-c", KERNELS_TIMES, PEER), "600 7 4 3 20\n")
            syns = tshark(capture.finish(), "tcp.flags", filter="tcp.flags.syn == 1 and tcp.flags.ack == 0")
            equal("the flags of the SYNs", [row[0] for row in syns], ["0x0002", "0x00c2"])


@case("TCP Fast Open as the system allows it: the second connection's data goes with the SYN, both ways")
def fast_open():
    with Pair() as pair:
        for ns in (pair.engine, pair.peer):
            run("sysctl", "-qw", "net.ipv4.tcp_fastopen=3", ns=ns)
        with Process(["python3", "-c", FAST_SERVER], ns=pair.peer):
            wait_for("the peer's server", lambda: "7000" in run("ss", "-Hltn", ns=pair.peer).stdout)
            client(pair, "python3", "-c", FAST_CLIENT, PEER)
            equal("data in the peer's SYNs", netstat(pair.peer, "TCPFastOpenPassive"), 2)
        with shared_server(pair, "python3", "-c", FAST_SERVER, port=7000):
            run("python3", "-c", FAST_CLIENT, SHARED, ns=pair.peer)
            equal("data of the peer's that came early", netstat(pair.peer, "TCPFastOpenActive"), 2)
    with Pair() as pair:  # servers have it only where the system says so
        run("sysctl", "-qw", "net.ipv4.tcp_fastopen=1", ns=pair.engine)
        with shared_server(pair, "python3", "-c", FAST_SERVER, port=7000):
            run("python3", "-c", FAST_CLIENT, SHARED, ns=pair.peer)
            equal("data of the peer's that came early", netstat(pair.peer, "TCPFastOpenActive"), 0)


EARLIER = """if 1:
    import os, socket, sys, time
    if len(sys.argv) > 1:  # before there is a stack
        s = socket.create_server(("0.0.0.0", 7002))
        c = socket.create_connection(("127.0.0.1", 7002))
        for x in s, c:
            os.set_inheritable(x.fileno(), True)
        os.execvp(sys.argv[1], sys.argv[1:])
    u = socket.socket(type=socket.SOCK_DGRAM)
    u.bind(("0.0.0.0", 7003))
    s = socket.create_server(("0.0.0.0", 7000))
    print("ready", flush=True)
    time.sleep(1000)
"""


@case("sockets that a program had before it joined the stack are listed, with that reason")
def earlier():
    with Pair() as pair, Process(["python3", "-c", EARLIER, *shared("python3", "-c", EARLIER)],
                                 ns=pair.engine) as server:
        wait_for("its listener", lambda: server.stdout() == b"ready\n")
        listed = [(int(e["local"].rpartition(":")[2]), e["peer"].rpartition(":")[2], e.get("reason"))
                  for e in json.loads(run(MILLRACE, "ss", "--json", ns=pair.engine).stdout)]
        before = "it was there before the program joined the stack"
        check(any(e == (7002, e[1], before) for e in listed), "the listener: %s", listed)
        check(any(e[1:] == ("7002", before) for e in listed), "the connection: %s", listed)
        check(any(e == (7003, e[1], "not TCP") for e in listed), "the UDP socket: %s", listed)
        check(any(e == (7000, e[1], None) for e in listed), "what is accelerated: %s", listed)


# ---- Servers ------------------------------------------------------------------------------------


@contextlib.contextmanager
def website(pair, *argv, port, shim=True):
    """A directory with a large file, served by argv (DIR stands for it)."""
    with scratch() as directory:
        make_file(os.path.join(directory, "big"), 5 * MIB)
        with Program(pair, *[a.replace("DIR", directory) for a in argv], port=port, shim=shim) as server:
            yield directory, server


def fetch_big(pair, directory, port):
    got = os.path.join(directory, "got")
    run("curl", "-sS", "-f", "-m", "20", "-o", got, "http://%s:%d/big" % (ENGINE, port), ns=pair.peer,
        timeout=30)
    equal("what came", sha256_file(got), sha256_file(os.path.join(directory, "big")))


@case("python3 -m http.server serves the interface and loopback at once")
def http_server():
    with Pair() as pair, website(pair, "python3", "-m", "http.server", "8000", "--directory", "DIR",
                                 port=8000) as (directory, _):
        fetch_big(pair, directory, 8000)
        equal("status over loopback",
              run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-m", "10",
                  "http://127.0.0.1:8000/big", ns=pair.engine).stdout, "200")


# Writes to whoever connects as much as there is room for.
WRITER = """if 1:
    import socket, time
    s = socket.create_server(("", 7000))
    s.setblocking(False)
    to = []
    while True:
        try:
            to.append(s.accept()[0])
            to[-1].setblocking(False)
        except BlockingIOError:
            time.sleep(0.02)
        for c in to:
            try:
                while True:
                    c.send(bytes(65536))
            except OSError:
                pass
"""


@case("inspect shows all that hangs on a descriptor: file, socket, queues, TCB, route, device")
def inspect():
    with shared_pair() as pair, shared_server(pair, "python3", "-c", WRITER, port=7000), \
            contextlib.closing(pair.peer.connect((SHARED, 7000))) as reader:  # which does not read
        local = "%s:%d" % (PEER, reader.getsockname()[1])

        def stuck():
            return next((e for e in sockets(pair) if e["peer"] == local and e["send_q"] > 100000), None)
        row = wait_for("a full send buffer", stuck)
        text = run(MILLRACE, "inspect", str(row["pid"]), str(row["fd"]), ns=pair.engine).stdout
        for line in (r"python3 pid=%d fd=%d" % (row["pid"], row["fd"]),
                     r"  file    0x\w+  \d+ references?, O_NONBLOCK(, kernel socket [1-9]\d*)?, accelerated",
                     r"  socket  0x\w+  ESTABLISHED, %s:7000 -> %s" % (re.escape(SHARED), re.escape(local)),
                     r"  receive 0 bytes in 0 frames, and 0 out of order in 0; window [1-9]\d*",
                     r"  send    \d+ bytes not acknowledged, [1-9]\d* not sent, [1-9]\d* frames; window \d+",
                     r"  TCB     0x\w+  \w+, cwnd [1-9]\d*, ssthresh \d+, mss [1-9]\d*, rtt [1-9]\d* us \+- \d+, .*",
                     r"  route   next hop %s, path MTU 1500" % re.escape(PEER),
                     r"  device  stack millrace/v0/\S+, \d+ packets wait to be sent"):
            check(re.search("^%s$" % line, text, re.MULTILINE), "no line like \"%s\" in:\n%s", line, text)


@case("a greeting from a child that has ended takes nothing from who has its place now")
def late_greeting():
    hello = """if 1:
        import socket, struct, sys
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.connect("\\0" + sys.argv[1])
        for slot in range(8):
            s.send(struct.pack("=IIQQ16s", 2, slot, 0, 0, b"late"))
    """
    with Pair() as pair, website(pair, "python3", "-m", "http.server", "8000", "--directory", "DIR",
                                 port=8000) as (directory, server):
        with open("/proc/%d/environ" % server.pid) as f:
            name = re.search("MILLRACE_STACK=([^\0:]*)", f.read()).group(1)
        for _ in range(2):
            run("python3", "-c", hello, name, ns=pair.engine)
            fetch_big(pair, directory, 8000)


NGINX = """
daemon off;
user root;
worker_processes 2;
pid DIR/pid;
error_log DIR/error info;
events { worker_connections 1024; }
http { access_log off; sendfile on; server { listen 8080; root DIR; } }
"""


@case("nginx with two workers is reloaded under load, and no new request fails", timeout=90)
def nginx():
    need("nginx", "ab")
    with Pair() as pair, scratch() as directory:
        config = os.path.join(directory, "conf")
        with open(config, "w") as f:
            f.write(NGINX.replace("DIR", directory))
        make_file(os.path.join(directory, "big"), 5 * MIB)
        make_file(os.path.join(directory, "small"), 500)
        with Program(pair, "nginx", "-c", config, port=8080) as server:
            fetch_big(pair, directory, 8080)
            with Process(["ab", "-q", "-n", "8000", "-c", "8", "http://%s:8080/small" % ENGINE],
                         ns=pair.peer) as load:
                for _ in range(3):
                    time.sleep(0.3)
                    os.kill(server.pid, signal.SIGHUP)
                equal("ab's status", load.wait(60), 0)
                check(b"Failed requests:        0\n" in load.stdout(), "requests failed: %s",
                      load.stdout().decode())


@case("redis-server answers redis-benchmark", timeout=90)
def redis():
    need("redis-server", "redis-benchmark")
    with Pair() as pair, Program(pair, "redis-server", "--port", "6379", "--protected-mode", "no",
                                 "--save", "", port=6379):
        done = run("redis-benchmark", "-h", ENGINE, "-n", "5000", "-q", "-t", "ping,set,get", ns=pair.peer,
                   timeout=60)
        equal("tests done", done.stdout.count("requests per second"), 4)


@case("memcached -t 4 keeps what 16 connections store", timeout=60)
def memcached():
    need("memcached")
    with Pair() as pair, Program(pair, "memcached", "-u", "root", "-t", "4", "-l", "0.0.0.0", "-p", "11211",
                                 port=11211):
        with contextlib.ExitStack() as stack:
            socks = [stack.enter_context(pair.peer.connect((ENGINE, 11211))) for _ in range(16)]
            files = [stack.enter_context(s.makefile("rb")) for s in socks]
            for i in range(200):
                for n, s in enumerate(socks):
                    s.sendall(b"set k%d_%d 0 0 5\r\nhello\r\n" % (n, i))
                for f in files:
                    equal("answer", f.readline(), b"STORED\r\n")
                for n, s in enumerate(socks):
                    s.sendall(b"get k%d_%d\r\n" % (n, i))
                for f in files:
                    check(f.readline().startswith(b"VALUE"), "a key is lost")
                    equal("value", f.readline(), b"hello\r\n")
                    equal("end", f.readline(), b"END\r\n")


@case("iperf3 -s receives, and sends on eight streams", timeout=60)
def iperf3():
    need("iperf3")
    for extra in ((), ("-P", "8", "-R")):
        with Pair() as pair, Process(under(pair, "iperf3", "-s", "-1", "--forceflush"), ns=pair.engine) as server:
            wait_for("iperf3", lambda: b"listening" in server.stdout())
            time.sleep(1)
            run("iperf3", "-c", ENGINE, "-t", "1", *extra, ns=pair.peer, timeout=20)


def echo_through(pair, port, n=20, size=20000):
    """n connections in a row, each answered with what it sent."""
    data = os.urandom(size)
    for _ in range(n):
        with pair.peer.connect((SHARED, port), timeout=5) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            got = b""
            while part := s.recv(65536):
                got += part
            check(got == data, "%d of %d bytes came back", len(got), len(data))


@case("socat forks a child for each connection, which echoes")
def socat():
    need("socat")
    with Pair() as pair, shared_server(pair, "socat", "TCP-LISTEN:7000,fork,reuseaddr", "EXEC:cat", port=7000):
        echo_through(pair, 7000)


@case("an asyncio server echoes, as nobody, without a capability")
def asyncio_nobody():
    with Pair() as pair, shared_server(pair, "python3", "-c", ASYNCIO_ECHO % "0.0.0.0", port=7000,
                                       user="nobody") as server:
        echo_through(pair, 7000)
        with open("/proc/%d/status" % server.pid) as f:
            check("CapEff:\t0000000000000000" in f.read(), "it has capabilities")


@contextlib.contextmanager
def open_files(n):
    """This process may have n more descriptors."""
    old = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (n + 1000, max(old[1], n + 1000)))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, old)


@case("ten thousand connections at once into one server", timeout=90)
def ten_thousand():
    n = 10000
    with Pair() as pair, open_files(n):
        with shared_server(pair, "python3", "-c", ASYNCIO_ECHO % "0.0.0.0", port=7000), contextlib.ExitStack() as stack:
            socks = [stack.enter_context(pair.peer.connect((SHARED, 7000), timeout=20)) for _ in range(n)]
            for s in socks:
                s.sendall(b"x")
            for s in socks:
                equal("echo", s.recv(10), b"x")


HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend f
    bind 0.0.0.0:7000
    default_backend b
backend b
    server s %s:8000
"""


@case("haproxy stands between the peer's client and the peer's server")
def haproxy():
    need("haproxy", "curl")
    with Pair() as pair, scratch() as directory:
        make_file(os.path.join(directory, "big"), 5 * MIB)
        config, got = os.path.join(directory, "conf"), os.path.join(directory, "got")
        with open(config, "w") as f:
            f.write(HAPROXY % PEER)
        with Process(["python3", "-m", "http.server", "8000", "--directory", directory], ns=pair.peer), \
                shared_server(pair, "haproxy", "-f", config, port=7000):
            for _ in range(10):
                run("curl", "-sSf", "-m", "20", "-o", got, "http://%s:7000/big" % SHARED, ns=pair.peer,
                    timeout=30)
                equal("what came", sha256_file(got), sha256_file(os.path.join(directory, "big")))


SSHD = """
Port 7000
HostKey DIR/host
AuthorizedKeysFile DIR/key.pub
PidFile none
Subsystem sftp internal-sftp
StrictModes no
UsePAM YESNO
"""


def on_stack(pair, state, port=7000):
    """The sockets of a server's port in that state; all of them must be the stack's."""
    listed = [e for e in json.loads(run(MILLRACE, "ss", "--json", ns=pair.engine).stdout)
              if e["state"] == state and e["local"].endswith(":%d" % port)]
    check(listed and all(e["accelerated"] for e in listed), "%s on port %d: %s", state, port, listed)
    return listed


@contextlib.contextmanager
def sshd(pair, directory, pam="no"):
    """sshd and the options that let ssh and scp in."""
    need("/usr/sbin/sshd", "scp", "ssh-keygen")
    os.chmod(directory, 0o755)
    os.makedirs("/run/sshd", exist_ok=True)
    for name in ("host", "key"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.path.join(directory, name))
    config = os.path.join(directory, "conf")
    with open(config, "w") as f:
        f.write(SSHD.replace("DIR", directory).replace("YESNO", pam))
    with shared_server(pair, "/usr/sbin/sshd", "-D", "-e", "-f", config, port=7000):
        yield ["-i", os.path.join(directory, "key"), "-o", "StrictHostKeyChecking=no", "-o",
               "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"]


@case("sshd lets a user in, and 100 MB go through scp both ways, over IPv4 and IPv6", timeout=120)
def scp():
    with Pair(v6=True) as pair, scratch() as directory:
        run("ip", "addr", "add", ENGINE6 + "/64", "dev", "v0", "nodad", ns=pair.engine)
        big, got, back = (os.path.join(directory, n) for n in ("big", "got", "back"))
        make_file(big, 100 * 1000 * 1000)
        with sshd(pair, directory) as options:
            for address, host in ((SHARED, SHARED), (ENGINE6, "[%s]" % ENGINE6)):
                with Process(["ssh", *options, "-p", "7000", "root@" + address, "cat"], ns=pair.peer,
                             stdin=subprocess.PIPE) as ssh:
                    ssh.proc.stdin.write(b"in\n")
                    ssh.proc.stdin.flush()
                    wait_for("an answer", lambda: ssh.stdout() == b"in\n", timeout=20)
                    on_stack(pair, "ESTABLISHED")
                    ssh.proc.stdin.close()
                    equal("ssh's status", ssh.wait(), 0)
                remote = "root@%s:%s" % (host, got)
                run("scp", *options, "-P", "7000", big, remote, ns=pair.peer, timeout=60)
                run("scp", *options, "-P", "7000", remote, back, ns=pair.peer, timeout=60)
                equal("what went there", sha256_file(got), sha256_file(big))
                equal("what came back", sha256_file(back), sha256_file(big))
                os.unlink(got)
                os.unlink(back)


@case("sshd with PAM, as Debian sets it up, lets a user in", timeout=60)
def sshd_pam():
    with Pair() as pair, scratch() as directory, sshd(pair, directory, pam="yes") as options:
        for _ in range(3):
            equal("a command's answer", run("ssh", *options, "-p", "7000", "root@" + SHARED, "echo in", ns=pair.peer,
                                            timeout=20).stdout, "in\n")


@case("a sandboxed child serves its connection by no more system calls than the kernel's would need", timeout=60)
def sandbox():
    data = os.urandom(200000)
    with Pair() as pair, shared_server(pair, os.path.join(BUILD, "tests/tools/sandbox"), "7000", port=7000) as server:
        wait_for("the first child's end", lambda: server.stdout() == b"1\n")
        for n, how in enumerate(b"pbt", 1):
            with pair.peer.connect((SHARED, 7000)) as s:
                s.sendall(bytes((how,)))
                for _ in range(3):  # it sleeps in between
                    time.sleep(0.05)
                    s.sendall(data)
                    got = b""
                    while len(got) < len(data):
                        part = s.recv(65536)
                        check(part, "the end after %d bytes: %s", len(got), server.stdout())
                        got += part
                    check(got == data, "other bytes came back")
                s.shutdown(socket.SHUT_WR)
                equal("the end", s.recv(1), b"")
            wait_for("the child's end", lambda n=n: server.stdout() == b"1\n" + b"0\n" * n)
        with pair.peer.connect((SHARED, 7000)) as s:
            s.sendall(b"w")
            s.recv(1)
        wait_for("SIGPIPE", lambda: server.stdout() == b"1\n0\n0\n0\n%d\n" % -signal.SIGPIPE, timeout=15)


@case("a program that closes all descriptors it does not know listens on the stack nevertheless")
def closes_all():
    one_by_one = "import os, contextlib\n    for fd in range(3, 65536):\n" \
                 "        with contextlib.suppress(OSError): os.close(fd)\n    "
    for how in ("import os; os.closerange(3, 1 << 30)\n    ", one_by_one):
        program = (ASYNCIO_ECHO % "0.0.0.0").replace("import", how + "import", 1)
        with Pair() as pair, shared_server(pair, "python3", "-c", program, port=7000):
            echo_through(pair, 7000, n=2)


CLOSES_LISTENING = """if 1:
    import os, socket
    s = socket.create_server(("0.0.0.0", 7000))
    def descriptors():
        return {(fd, os.readlink("/proc/self/fd/" + fd)) for fd in os.listdir("/proc/self/fd")
                if os.path.exists("/proc/self/fd/" + fd)}
    before = descriptors()
    os.closerange(s.fileno() + 1, 1 << 30)
    print(len(before - descriptors()), flush=True)
    if os.fork():
        os.wait()
    while True:
        c = s.accept()[0]
        c.sendall(bytes(5 << 20))
        c.close()
"""


@case("the same when it listens already: nothing of the stack's is closed")
def closes_listening():
    with Pair() as pair, shared_server(pair, "python3", "-c", CLOSES_LISTENING, port=7000) as server:
        equal("descriptors less", server.stdout(), b"0\n")
        with pair.peer.connect((SHARED, 7000)) as s, s.makefile("rb") as f:
            equal("bytes that came", len(f.read()), 5 << 20)


@case("a program that is executed with another user's rights, which loads no shim, is told of")
def executed_with_rights():
    program = "import os; os.setresuid(65534, 0, 0); os.execv('/bin/true', ['true'])"
    with Pair() as pair:
        done = run(*shared("python3", "-c", program), ns=pair.engine)
        check("/bin/true is executed with the rights of another user" in done.stderr, "not told: %s", done.stderr)


@case("openssl s_server serves HTTPS, and curl fetches it", timeout=60)
def https():
    need("openssl", "curl")
    with Pair() as pair, scratch() as directory:
        key, cert = os.path.join(directory, "key"), os.path.join(directory, "cert")
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
            "-subj", "/CN=test")
        with shared_server(pair, "openssl", "s_server", "-www", "-key", key, "-cert", cert, "-accept", "7000",
                           port=7000):
            for _ in range(5):
                check("Cipher" in run("curl", "-sSfk", "-m", "10", "https://%s:7000/" % SHARED,
                                      ns=pair.peer).stdout, "no answer")
        server = ["openssl", "s_server", "-www", "-key", key, "-cert", cert, "-accept", "7000"]
        with Process(server, ns=pair.peer) as server:
            wait_for("openssl", lambda: b"ACCEPT" in server.stdout())
            check("Cipher" in client(pair, "curl", "-sSfk", "-m", "10", "https://%s:7000/" % PEER), "no answer")


WORKERS = """if 1:
    import os, socket
    s = socket.create_server(("0.0.0.0", 7000), backlog=100)
    for _ in range(2):
        if not os.fork():
            while True:
                c, _ = s.accept()
                while data := c.recv(65536):
                    if data == b"die\\n":
                        os.kill(os.getpid(), 9)
                    c.sendall(b"%d " % os.getpid() + data)
                c.close()
    os.wait()
    os.wait()
"""


@case("one of two forked workers is killed with a connection, and the other goes on")
def worker_killed():
    with Pair() as pair, shared_server(pair, "python3", "-c", WORKERS, port=7000):
        with contextlib.ExitStack() as stack:
            conns = {}
            for _ in range(2):
                s = stack.enter_context(pair.peer.connect((SHARED, 7000), timeout=5))
                f = stack.enter_context(s.makefile("rb"))
                s.sendall(b"hello\n")
                conns[int(f.readline().split()[0])] = (s, f)
            equal("workers with a connection", len(conns), 2)
            killed, alive = conns
            stack.callback(os.kill, alive, signal.SIGKILL)  # it would outlive its parent
            os.kill(killed, signal.SIGKILL)
            equal("the dead one's connection", conns[killed][1].readline(), b"")
            s, f = conns[alive]
            for i in range(100):
                s.sendall(b"%d\n" % i)
                equal("echo", f.readline(), b"%d %d\n" % (alive, i))
            s.close()
            f.close()
            with pair.peer.connect((SHARED, 7000), timeout=5) as again, again.makefile("rb") as f:
                again.sendall(b"hello\n")
                equal("who answers", f.readline(), b"%d hello\n" % alive)


@case("workers in a PID namespace of their own are known by their numbers outside: one dies, its connection ends")
def pid_namespace():
    need("unshare")
    with Pair() as pair, shared_server(pair, "unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "python3",
                                       "-c", WORKERS, port=7000), contextlib.ExitStack() as stack:
        conns = [stack.enter_context(pair.peer.connect((SHARED, 7000), timeout=5)) for _ in range(2)]
        for s in conns:
            s.sendall(b"hello\n")
            check(int(s.recv(100).split()[0]) < 10, "it is in no namespace of its own")
        conns[0].sendall(b"die\n")
        equal("the dead one's connection", conns[0].recv(100), b"")
        conns[1].sendall(b"hello\n")
        check(conns[1].recv(100).endswith(b" hello\n"), "the other one does not answer")


# The child, in a network namespace of its own, echoes. It says how often it has slept.
ISOLATED = """if 1:
    import ctypes, os, signal, socket
    c = socket.create_server(("0.0.0.0", 7000)).accept()[0]
    pid = ctypes.CDLL(None).syscall(56, 0x40000000 | signal.SIGCHLD, 0)  # clone, CLONE_NEWNET
    if pid:
        os.waitpid(pid, 0)
        os._exit(0)
    while data := c.recv(100):
        with open("/proc/thread-self/status") as f:
            (n,) = (line.split()[1] for line in f if line.startswith("voluntary_ctxt"))
        c.sendall(n.encode() + b"\\n")
"""


@case("a child in a network namespace of its own, which the keeper is not in, sleeps until something comes")
def isolated_child():
    with Pair() as pair, Process(shared("python3", "-c", ISOLATED), ns=pair.engine, name="server") as server:
        def connected():
            with contextlib.suppress(OSError):
                return pair.peer.connect((SHARED, 7000), timeout=5)
        with wait_for("the server", connected, timeout=10) as s:
            slept = []
            for _ in range(5):
                s.sendall(b"hello")
                slept.append(int(s.recv(100)))
                time.sleep(0.2)
            check(slept[-1] - slept[0] < 100, "it has slept so often: %s", slept)
        server.wait()


# A thread, or a process, for each connection.
CROWD = """if 1:
    import os, signal, socket, threading
    def echo(c):
        while data := c.recv(100):
            c.sendall(data)
    def thread(c):
        threading.Thread(target=echo, args=(c,), daemon=True).start()
    def process(c):
        if not os.fork():
            s.close()
            echo(c)
            os._exit(0)
        c.close()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    threading.stack_size(256 << 10)
    s = socket.create_server(("0.0.0.0", 7000), backlog=2000)
    while True:
        %s(s.accept()[0])
"""


URING = """if 1:
    import ctypes, os
    libc = ctypes.CDLL(None, use_errno=True)
    print(libc.syscall(425, 8, ctypes.create_string_buffer(120)), os.strerror(ctypes.get_errno()))
    print(libc.io_uring_queue_init(8, ctypes.create_string_buffer(4096), 0))
"""


@case("io_uring, of which the stack sees nothing, is refused, and that is said once")
def uring():
    with Pair() as pair:
        done = run(*shared("python3", "-c", URING), ns=pair.engine)
        equal("answers", done.stdout, "-1 Function not implemented\n-38\n")
        equal("words", done.stderr.count("io_uring is refused"), 1)


@case("a thread for each of 1500 connections, and a process for each of 600", timeout=90)
def crowd():
    for kind, n in ("thread", 1500), ("process", 600):
        with Pair() as pair, shared_server(pair, "python3", "-c", CROWD % kind, port=7000), \
                contextlib.ExitStack() as stack:
            socks = [stack.enter_context(pair.peer.connect((SHARED, 7000), timeout=20)) for _ in range(n)]
            for s in socks:
                s.sendall(b"hello")
            for s in socks:
                equal("a %s's echo" % kind, s.recv(100), b"hello")


@case("PostgreSQL answers pgbench", timeout=90)
def postgres():
    with Pair() as pair:
        pgbench(pair, SHARED, "0.0.0.0")


# ---- Clients ------------------------------------------------------------------------------------


@case("curl, wget and urllib fetch from the peer's kernel", timeout=60)
def clients():
    need("curl", "wget")
    with Pair() as pair, scratch() as directory:
        make_file(os.path.join(directory, "big"), 5 * MIB)
        with Process(["python3", "-m", "http.server", "8000", "--directory", directory], ns=pair.peer):
            where = "http://%s:8000/big" % PEER
            got = os.path.join(directory, "got")
            wait_for("the server", lambda: run("curl", "-sf", "-o", got, where, ns=pair.peer,
                                               ok=False).returncode == 0)
            fetch = "import urllib.request as u; u.urlretrieve(%r, %r)" % (where, got)
            for argv in (["curl", "-sSf", "-o", got, where], ["wget", "-q", "-O", got, where],
                         ["python3", "-c", fetch]):
                os.unlink(got)
                run(*under(pair, *argv), ns=pair.engine, timeout=30)
                equal(argv[0], sha256_file(got), sha256_file(os.path.join(directory, "big")))


@case("ab, wrk and iperf3 -P 8 load the peer's kernel; git clones over HTTP", timeout=90)
def load_clients():
    need("ab", "wrk", "iperf3", "git")
    with Pair() as pair, scratch() as directory:
        make_file(os.path.join(directory, "small"), 500)
        run("git", "init", "-q", "--bare", os.path.join(directory, "r.git"))
        tree = run("git", "-C", os.path.join(directory, "r.git"), "hash-object", "-w", "-t", "tree",
                   "/dev/null").stdout.strip()
        commit = run("git", "-C", os.path.join(directory, "r.git"), "-c", "user.name=t", "-c", "user.email=t@t",
                     "commit-tree", tree, "-m", "first").stdout.strip()
        run("git", "-C", os.path.join(directory, "r.git"), "update-ref", "refs/heads/main", commit)
        run("git", "-C", os.path.join(directory, "r.git"), "symbolic-ref", "HEAD", "refs/heads/main")
        run("git", "-C", os.path.join(directory, "r.git"), "update-server-info")
        config = os.path.join(directory, "conf")
        with open(config, "w") as f:
            f.write(NGINX.replace("DIR", directory))
        where = "http://%s:8080/small" % PEER
        with Process(["nginx", "-c", config], ns=pair.peer), Process(["iperf3", "-s"], ns=pair.peer):
            wait_for("nginx", lambda: run("curl", "-sf", where, ns=pair.peer, ok=False).returncode == 0)
            text = client(pair, "ab", "-q", "-n", "5000", "-c", "20", where)
            check("Failed requests:        0\n" in text and "Complete requests:      5000\n" in text, "%s", text)
            text = client(pair, "wrk", "-t", "2", "-c", "50", "-d", "1", where)
            check("Requests/sec" in text and "Socket errors" not in text, "%s", text)
            client(pair, "git", "clone", "-q", "http://%s:8080/r.git" % PEER, os.path.join(directory, "copy"))
            check(os.path.exists(os.path.join(directory, "copy/.git/refs/heads/main")), "nothing was cloned")
            for extra in ((), ("-R",)):
                client(pair, "iperf3", "-c", PEER, "-t", "1", "-P", "8", *extra)


main()
