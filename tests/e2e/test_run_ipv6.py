#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_run_ipv6.py - the servers and clients of test_run_programs.py over IPv6, blocking and non-blocking ones.
"""
import socket

from lib import *
from runlib import *


def echo_through(pair, port):
    data = os.urandom(20000)
    for _ in range(20):
        with pair.peer.connect((SHARED6, port), timeout=5) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            got = b""
            while part := s.recv(65536):
                got += part
            check(got == data, "%d of %d bytes came back", len(got), len(data))


def fetch(pair, directory, address, scheme="http", port=7000):
    got = os.path.join(directory, "got")
    run("curl", "-sSfgk", "-m", "20", "-o", got, "%s://[%s]:%d/big" % (scheme, address, port), ns=pair.peer, timeout=30)
    equal("what came", sha256_file(got), sha256_file(os.path.join(directory, "big")))


@contextlib.contextmanager
def ground(*commands):
    """A pair, and a directory with a large file."""
    need(*commands)
    with shared_pair() as pair, scratch() as directory:
        make_file(os.path.join(directory, "big"), 5 * MIB)
        yield pair, directory


def server6(pair, *argv, port=7000, **kwargs):
    return shared_server(pair, *argv, port=port, address=SHARED6, **kwargs)


@case("IPv6: socat and an asyncio server echo")
def echoes():
    with ground("socat") as (pair, _):
        with server6(pair, "socat", "TCP6-LISTEN:7000,fork,reuseaddr", "EXEC:cat"):
            echo_through(pair, 7000)
        wait_for("the keeper to go", lambda: pair.xdp() is None)
        with server6(pair, "python3", "-c", ASYNCIO_ECHO % "::", user="nobody"):
            echo_through(pair, 7000)


@case("IPv6: http.server, and HTTPS by openssl s_server, to curl")
def web():
    with ground("curl", "openssl") as (pair, directory):
        with server6(pair, "python3", "-m", "http.server", "7000", "--bind", "::", "--directory", directory):
            fetch(pair, directory, SHARED6)
        wait_for("the keeper to go", lambda: pair.xdp() is None)
        key, cert = os.path.join(directory, "key"), os.path.join(directory, "cert")
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
            "-subj", "/CN=test")
        with server6(pair, "sh", "-c", "cd %s && exec openssl s_server -6 -WWW -key key -cert cert -accept 7000" %
                     directory):
            fetch(pair, directory, SHARED6, scheme="https")


HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend f
    bind [::]:7000
    default_backend b
backend b
    server s [%s]:8000
"""


@case("IPv6: haproxy stands between the peer's client and the peer's server")
def haproxy():
    with ground("haproxy", "curl") as (pair, directory):
        config = os.path.join(directory, "conf")
        with open(config, "w") as f:
            f.write(HAPROXY % PEER6)
        with Process(["python3", "-m", "http.server", "8000", "--bind", "::", "--directory", directory],
                     ns=pair.peer), server6(pair, "haproxy", "-f", config):
            for _ in range(10):
                fetch(pair, directory, SHARED6)


@case("IPv6: memcached -t 4 keeps what 16 connections store")
def memcached():
    with ground("memcached") as (pair, _), contextlib.ExitStack() as stack:
        stack.enter_context(server6(pair, "memcached", "-u", "root", "-t", "4", "-l", "::", "-p", "7000"))
        socks = [stack.enter_context(pair.peer.connect((SHARED6, 7000))) for _ in range(16)]
        files = [stack.enter_context(s.makefile("rb")) for s in socks]
        for i in range(100):
            for n, s in enumerate(socks):
                s.sendall(b"set k%d_%d 0 0 5\r\nhello\r\nget k%d_%d\r\n" % (n, i, n, i))
            for n, f in enumerate(files):
                equal("answers", [f.readline() for _ in range(4)],
                      [b"STORED\r\n", b"VALUE k%d_%d 0 5\r\n" % (n, i), b"hello\r\n", b"END\r\n"])


@case("IPv6: PostgreSQL answers pgbench", timeout=90)
def postgres():
    with shared_pair() as pair:
        pgbench(pair, SHARED6, "::")


@case("IPv6: iperf3 receives and sends on eight streams, as a server and as a client")
def iperf3():
    with ground("iperf3") as (pair, _):
        for extra in ((), ("-P", "8", "-R")):
            with Process(shared("iperf3", "-s", "-1", "--forceflush"), ns=pair.engine) as server:
                wait_for("iperf3", lambda: b"listening" in server.stdout())
                wait_for("its socket", lambda: any(e["accelerated"] for e in sockets(pair)))
                run("iperf3", "-c", SHARED6, "-t", "1", *extra, ns=pair.peer, timeout=20)
            wait_for("the keeper to go", lambda: pair.xdp() is None)
        with Process(["iperf3", "-s", "--forceflush"], ns=pair.peer) as server:
            wait_for("iperf3", lambda: b"listening" in server.stdout())
            for extra in ((), ("-R",)):
                client(pair, "iperf3", "-c", PEER6, "-t", "1", "-P", "8", *extra)


@case("IPv6: curl, wget, urllib, ab, wrk and redis-benchmark as clients", timeout=90)
def clients():
    with ground("curl", "wget", "ab", "wrk", "redis-server") as (pair, directory), contextlib.ExitStack() as stack:
        make_file(os.path.join(directory, "small"), 500)
        stack.enter_context(Process(["python3", "-m", "http.server", "8000", "--bind", "::", "--directory",
                                     directory], ns=pair.peer))
        stack.enter_context(Process(["redis-server", "--port", "6379", "--protected-mode", "no", "--save", "",
                                     "--bind", "::"], ns=pair.peer))
        base = "http://[%s]:8000/" % PEER6
        wait_for("the server", lambda: run("curl", "-sgf", base, ns=pair.peer, ok=False).returncode == 0)
        got = os.path.join(directory, "got")
        urllib = "import urllib.request as u; u.urlretrieve(%r, %r)" % (base + "big", got)
        for argv in (["curl", "-sSgf", "-o", got, base + "big"], ["wget", "-q", "-O", got, base + "big"],
                     ["python3", "-c", urllib]):
            client(pair, *argv)
            equal(argv[0], sha256_file(got), sha256_file(os.path.join(directory, "big")))
            os.unlink(got)
        text = client(pair, "ab", "-q", "-n", "500", "-c", "10", base + "small")
        check("Failed requests:        0\n" in text and "Complete requests:      500\n" in text, "%s", text)
        text = client(pair, "wrk", "-t", "2", "-c", "10", "-d", "1", base + "small")
        check("Requests/sec" in text, "%s", text)  # HTTP/1.0: each end of a connection is an error to it
        text = client(pair, "redis-benchmark", "-h", PEER6, "-n", "5000", "-q", "-t", "ping,set,get")
        equal("tests done", text.count("requests per second"), 4)


main()
