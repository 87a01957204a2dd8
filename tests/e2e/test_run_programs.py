#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_run_programs.py - unmodified programs under `millrace run`, the kernel on the other end of a veth pair:
socket calls compared with the kernel's, one by one (tests/tools/posix_conf.c), then servers and clients as they
come from Debian.
"""
import difflib
import socket

from lib import *

CONF = os.path.join(BUILD, "tests/tools/posix_conf")


def under(pair, *argv, address=ENGINE + "/24"):
    return [MILLRACE, "run", "-i", "v0", "--address", address, "--"] + list(argv)


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
        done = run(*(under(pair, *argv, address=address) if address else argv), ns=pair.engine, timeout=60)
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


@case("every socket call answers as the kernel's, IPv4", timeout=150)
def calls4():
    with Pair() as pair:
        compare(pair, NEIGHBOUR, ENGINE, PEER, 24)


@case("every socket call answers as the kernel's, IPv6", timeout=150)
def calls6():
    with Pair(v6=True) as pair:
        run("ip", "addr", "add", "fd77::3/64", "dev", "v0", "nodad", ns=pair.engine)
        compare(pair, "fd77::3", ENGINE6, PEER6, 64)


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



main()
