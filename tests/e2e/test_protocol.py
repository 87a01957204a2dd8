#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_protocol.py - ARP, ICMP and TCP as the kernel at the other end sees them: opening, closing,
refusing, half-open streams, urgent data, backpressure, and many connections.
"""
import errno
import select
import threading

from lib import *

API = os.path.join(BUILD, "tests/tools/api")


def nc(pair, *args, **kwargs):
    return Millrace(pair, "nc", *args, **kwargs)


def receive_all(sock):
    pieces = []
    while piece := sock.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


class KernelEcho:
    """A TCP echo server of the kernel's, on the peer. serve(sock) may be another behaviour."""

    def __init__(self, pair, serve=None):
        self._serve = serve or self._echo
        self._listener = pair.peer.listen((PEER, PORT), timeout=None)
        self._socks = []

    @staticmethod
    def _echo(sock):
        while data := sock.recv(65536):
            sock.sendall(data)

    def _one(self, sock):
        with contextlib.suppress(OSError), sock:
            self._serve(sock)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._socks.append(sock)
                threading.Thread(target=self._one, args=(sock,), daemon=True).start()

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exc):
        for sock in [self._listener, *self._socks]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


def api(pair, *args, timeout=40):
    check(os.path.exists(API), "%s is not built: make tests", API)
    return run(API, "v0", "%s/%d" % (ENGINE, PREFIX), "%s:%d" % (PEER, PORT), *map(str, args),
               ns=pair.engine, timeout=timeout)


# ---- ARP and ICMP -------------------------------------------------------------------------------


@case("pings of every size up to the MTU are answered, the first one too")
def _():
    for mtu in (1500, 9000):
        with Pair(mtu=mtu) as pair, echo(pair) as server:
            pair.forget_neighbours()
            equal("the first ping", ping(pair, count=1, wait=0.5), 1)
            for size in (0, 1, 18, 56, 511, 1024, 1471, 1472, mtu - 29, mtu - 28):
                equal("pings of %d bytes" % size, ping(pair, count=3, size=size,
                                                       extra=("-M", "do")), 3)
            equal("a flood of pings", ping(pair, count=300, extra=("-i", "0.002")), 300)
            equal("icmp.echo_in", server.finish()["icmp.echo_in"], 331)


@case("a ping in fragments is answered in fragments (RFC 1122 section 3.2.2.6)")
def _():
    with Pair() as pair, echo(pair) as server:
        for size in (1473, 4000, 65507):
            equal("answers to %d bytes" % size, ping(pair, count=3, size=size), 3)
        counters = server.finish()
        equal("ip.reassembled", counters["ip.reassembled"], 9)
        equal("fragments sent are those received", counters["ip.fragments_out"],
              counters["ip.fragments_in"])


@case("an upload that a router cuts into fragments arrives whole (RFC 791)")
def _():
    with Pair() as pair, scratch() as www, scratch() as up:
        wanted = make_file(os.path.join(www, "f"), 8 * MIB)
        with far_host(pair, ENGINE) as far, serve(pair, www, "--upload", up, "--gateway", PEER) as server:
            with Process(["curl", "-sS", "-m", "20", "-T", os.path.join(www, "f"),
                          url("got")], ns=far) as curl:
                equal("curl's status", curl.wait(25), 0)
            equal("upload", sha256_file(os.path.join(up, "got")), wanted)
            counters = server.finish()
            check(counters["ip.reassembled"] > 5000, "reassembled: %r", counters)
            equal("drop.ip_frag_timeout", counters["drop.ip_frag_timeout"], 0)


@case("ARP requests, broadcast and unicast, are answered with the interface's MAC address")
def _():
    with Pair() as pair, echo(pair) as server:
        link = json.loads(run("ip", "-j", "link", "show", "v0", ns=pair.engine).stdout)[0]
        mac = bytes.fromhex(link["address"].replace(":", ""))
        equal("MAC address", pair.arp(ENGINE), mac)
        equal("MAC address, from the peer's address", pair.arp(ENGINE, sender=PEER), mac)
        equal("MAC address, asked directly",
              pair.arp(ENGINE, sender=PEER, broadcast=False, target_mac=mac), mac)
        equal("answer for an address nobody has", pair.arp("10.77.0.99", timeout=0.3), None)
        equal("arp.requests_in", server.counters()["arp.requests_in"] >= 3, True)
        server.finish()


@case("the kernel's ARP cache learns the engine by itself, and the first packet is not lost")
def _():
    with Pair() as pair, echo(pair) as server:
        pair.forget_neighbours()
        started = time.monotonic()
        with pair.peer.connect((ENGINE, PORT)) as sock:
            sock.sendall(b"x")
            equal("echo", sock.recv(10), b"x")
        took = time.monotonic() - started
        check(took < 0.5, "%.2f s: a packet was lost and sent again", took)
        equal("tcp.retrans_segs", server.finish()["tcp.retrans_segs"], 0)


@case("the engine resolves its neighbour by itself, and its first SYN is not lost")
def _():
    with Pair() as pair, KernelEcho(pair):
        started = time.monotonic()
        with nc(pair, PEER, PORT, ready=False) as client:
            equal("exit status", client.wait(), 0)
            counters = client.last_counters()
        check(time.monotonic() - started < 3, "it took %.1f s", time.monotonic() - started)
        equal("tcp.retrans_segs", counters["tcp.retrans_segs"], 0)
        check(counters["arp.requests_out"] > 0, "no ARP request was sent")


@case("a UDP datagram to the engine is answered with port unreachable")
def _():
    with Pair() as pair, echo(pair) as server, \
            pair.peer.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(2)
        udp.connect((ENGINE, 53))
        udp.send(b"hello?")
        try:
            udp.recv(100)
            raise Failure("there was an answer")
        except ConnectionRefusedError:
            pass
        equal("icmp.unreachable_out", server.finish()["icmp.unreachable_out"], 1)


@case("a flood of UDP is answered at a limited rate, and what is withheld is counted")
def _():
    with Pair() as pair, echo(pair) as server, \
            pair.peer.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for _ in range(2000):
            udp.sendto(b"x", (ENGINE, 53))
        time.sleep(0.2)
        counters = server.finish()
        check(counters["icmp.unreachable_out"] < 1000, "%d answers to 2000 datagrams",
              counters["icmp.unreachable_out"])
        equal("answered or withheld", counters["icmp.unreachable_out"] + counters["drop.icmp_rate"],
              2000)


# ---- Opening and refusing -----------------------------------------------------------------------


@case("connecting to a port on which nobody listens is refused at once")
def _():
    with Pair() as pair, echo(pair) as server:
        for port in (1, 79, 65535):
            started = time.monotonic()
            try:
                pair.peer.connect((ENGINE, port), timeout=3).close()
                raise Failure("port %d accepted" % port)
            except ConnectionRefusedError:
                pass
            check(time.monotonic() - started < 0.5, "the refusal was late")
        equal("drop.tcp_no_socket", server.finish()["drop.tcp_no_socket"], 3)


@case("nc to a closed port of the kernel's says that it was refused, and ends with status 1")
def _():
    with Pair() as pair, nc(pair, PEER, 4, ready=False, stats=False) as client:
        equal("exit status", client.wait(), 1)
        equal("lines on stderr", len(client.stderr().splitlines()), 1)
        check("refused" in client.stderr(), "stderr is %r", client.stderr())


@case("nc to a host that is not there ends with a sentence when ARP finds nobody")
def _():
    with Pair() as pair, nc(pair, "10.77.0.99", 80, ready=False, stats=False) as client:
        equal("exit status", client.wait(30), 1)
        equal("lines on stderr", len(client.stderr().splitlines()), 1)
        check(re.search("host|route", client.stderr(), re.I), "stderr is %r", client.stderr())


@case("nc to a network without a route ends with a sentence at once")
def _():
    with Pair() as pair, nc(pair, "192.0.2.1", 80, ready=False, stats=False) as client:
        equal("exit status", client.wait(5), 1)
        check(re.search("unreachable|route", client.stderr()), "stderr is %r", client.stderr())


@case("with --gateway, nc reaches what is behind the gateway")
def _():
    with Pair() as pair:
        run("ip", "addr", "add", "192.0.2.1/32", "dev", "lo", ns=pair.peer)
        with pair.peer.listen(("192.0.2.1", PORT)) as listener, \
                nc(pair, "--gateway", PEER, "192.0.2.1", PORT, ready=False) as client:
            sock, _ = listener.accept()
            with sock:
                sock.sendall(b"far away")
            equal("exit status", client.wait(), 0)
            equal("standard output", client.stdout(), b"far away")


# ---- Streams ------------------------------------------------------------------------------------


@case("nc connects: both directions carry every byte, and end by themselves")
def _():
    with Pair() as pair, scratch() as directory, KernelEcho(pair):
        path = os.path.join(directory, "in")
        wanted = make_file(path, 8 * MIB)
        with open(path, "rb") as stdin, \
                nc(pair, PEER, PORT, ready=False, stdin=stdin) as client:
            equal("exit status", client.wait(30), 0)
            equal("sha256 of the echo", hashlib.sha256(client.stdout()).hexdigest(), wanted)
            equal("tcp.rst_out", client.last_counters()["tcp.rst_out"], 0)


@case("nc listens: both directions carry every byte, and end by themselves")
def _():
    with Pair() as pair, scratch() as directory:
        path = os.path.join(directory, "in")
        wanted = make_file(path, 8 * MIB)
        with open(path, "rb") as stdin, nc(pair, "-l", PORT, stdin=stdin) as server, \
                pair.peer.connect((ENGINE, PORT)) as sock:
            sock.sendall(b"from the kernel")
            sock.shutdown(socket.SHUT_WR)
            equal("sha256", hashlib.sha256(receive_all(sock)).hexdigest(), wanted)
            equal("exit status", server.wait(10), 0)
            equal("standard output", server.stdout(), b"from the kernel")


@case("half-close by the kernel: the engine still sends all that it owes, then FIN")
def _():
    with Pair() as pair, echo(pair) as server, pair.peer.connect((ENGINE, PORT)) as sock:
        data = os.urandom(3 * MIB)

        def send():
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        got = receive_all(sock)
        sender.join(10)
        equal("bytes of the echo", len(got), len(data))
        equal("the echo", got == data, True)
        equal("tcp.rst_out", server.finish()["tcp.rst_out"], 0)


@case("half-close by the engine: what the kernel sends afterwards still arrives")
def _():
    with Pair() as pair:

        def wait_then_send(sock):
            equal("the engine's stream", receive_all(sock), b"")
            time.sleep(0.3)
            sock.sendall(b"later" * 100000)

        with KernelEcho(pair, wait_then_send), nc(pair, PEER, PORT, ready=False) as client:
            equal("exit status", client.wait(), 0)
            equal("standard output", client.stdout() == b"later" * 100000, True)


@case("echo's backpressure is exact: a peer that reads late is stopped, and loses nothing")
def _():
    size, most = 50 * MIB, 24 * MIB
    with Pair() as pair, echo(pair) as server, pair.peer.connect((ENGINE, PORT)) as sock:
        block = hashlib.shake_128(b"block").digest(MIB - 1)
        endless = block + block
        sock.setblocking(False)
        sent, stalled_since = 0, time.monotonic()
        while time.monotonic() - stalled_since < 1:  # one second without progress is a standstill
            try:
                sent += sock.send(block[sent % len(block):])
                stalled_since = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
            check(sent < most, "%d bytes were taken though nothing was read", sent)
        note("%d KiB were taken before the standstill" % (sent // 1024))
        received = 0
        while received < size:
            readable, writable, _ = select.select([sock], [sock] if sent < size else [], [], 5)
            check(readable or writable, "a standstill after %d of %d bytes", received, size)
            if readable:
                data = sock.recv(256 * 1024)
                check(data, "the stream ended after %d bytes", received)
                at = received % len(block)
                check(data == endless[at:at + len(data)], "wrong bytes between %d and %d", received,
                      received + len(data))
                received += len(data)
            if writable:
                at = sent % len(block)
                with contextlib.suppress(BlockingIOError):
                    sent += sock.send(block[at:at + min(size - sent, len(block) - at)])
        sock.close()
        equal("tcp.rst_out", server.finish()["tcp.rst_out"], 0)


@case("urgent data from the kernel leaves the stream, as the default is, and what is around stays")
def _():
    with Pair() as pair, echo(pair) as server, pair.peer.connect((ENGINE, PORT)) as sock:
        sock.sendall(b"ab")
        time.sleep(0.05)
        sock.send(b"c", socket.MSG_OOB)
        time.sleep(0.05)
        sock.sendall(b"de")
        sock.shutdown(socket.SHUT_WR)
        equal("the echo", receive_all(sock), b"abde")
        server.finish()


@case("urgent data goes both ways: the kernel and mr_recv() find the same byte urgent")
def _():
    found = {}

    def serve(sock):
        stream = b""
        while len(stream) < 4:
            _, _, urgent = select.select([sock], [], [sock], 5)
            if urgent and "oob" not in found:
                with contextlib.suppress(OSError):
                    found["oob"] = sock.recv(1, socket.MSG_OOB)
            data = sock.recv(100)
            if not data:
                break
            stream += data
        found["stream"] = stream
        sock.sendall(b"AB")
        sock.send(b"C", socket.MSG_OOB)
        time.sleep(0.1)
        sock.sendall(b"DE")

    with Pair() as pair, KernelEcho(pair, serve):
        done = api(pair, "urgent")
        equal("what the kernel found", found, {"oob": b"c", "stream": b"abde"})
        equal("what the engine found", done.stdout, "stream ABDE urgent C\n")


@case("a reset by the kernel ends nc with a sentence, status 1")
def _():
    def reset(sock):
        sock.recv(1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()

    with Pair() as pair, KernelEcho(pair, reset):
        read_end, write_end = os.pipe()
        try:
            with nc(pair, PEER, PORT, ready=False, stdin=read_end, stats=False) as client:
                os.write(write_end, b"x")
                equal("exit status", client.wait(), 1)
                check("reset" in client.stderr().lower(), "stderr is %r", client.stderr())
        finally:
            os.close(read_end)
            os.close(write_end)


@case("mr_abort() resets the connection at once")
def _():
    found = []

    def serve(sock):
        sock.sendall(sock.recv(100))
        try:
            sock.recv(100)
        except OSError as error:
            found.append(error.errno)

    with Pair() as pair, KernelEcho(pair, serve):
        api(pair, "abort")
        wait_for("the peer's reset", lambda: found)
        equal("errno at the peer", found, [errno.ECONNRESET])


@case("the zero-copy calls carry 20 MB to the kernel and back")
def _():
    with Pair() as pair, KernelEcho(pair):
        api(pair, "zerocopy", 20000000)


# ---- Many ---------------------------------------------------------------------------------------


def receive_answer(sock, length):
    """An HTTP answer whose body has length bytes."""
    answer = b""
    while b"\r\n\r\n" not in answer or len(answer.partition(b"\r\n\r\n")[2]) < length:
        piece = sock.recv(65536)
        check(piece, "the stream ended after %d bytes", len(answer))
        answer += piece
    return answer


def connect_close(engine_closes_first):
    """1,000 connections one after the other through a stack that has room for 16."""
    with Pair() as pair, scratch() as www:
        contents = os.urandom(1000)
        with open(os.path.join(www, "f"), "wb") as f:
            f.write(contents)
        with serve(pair, www, "--max-sockets", "16") as server:
            wish = b"close" if engine_closes_first else b"keep-alive"
            request = b"GET /f HTTP/1.1\r\nHost: x\r\nConnection: " + wish + b"\r\n\r\n"
            for i in range(1000):
                with pair.peer.connect((ENGINE, PORT)) as sock:
                    sock.sendall(request)
                    if engine_closes_first:
                        answer = receive_all(sock)
                    else:
                        answer = receive_answer(sock, len(contents))
                    check(answer.endswith(contents), "connection %d got %r", i, answer)
            equal("answered pings", ping(pair), 1)
            counters = server.finish()
            equal("tcp.passive_opens", counters["tcp.passive_opens"], 1000)
            equal("tcp.estab_resets", counters["tcp.estab_resets"], 0)
            equal("drop.no_frame", counters["drop.no_frame"], 0)
            if engine_closes_first:
                equal("tcp.timewait", counters["tcp.timewait"], 1000)


case("1,000 connections in a row, closed by the kernel, leave nothing behind")(
    lambda: connect_close(False))
case("1,000 connections in a row, closed by the engine, leave nothing behind")(
    lambda: connect_close(True))


def becomes_writable(sock, timeout):
    """poll(), for select() knows only small descriptors."""
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    return poll.poll(timeout * 1000)


@case("1,500 connections at once from the kernel: each has its own echo")
def _():
    with Pair() as pair, echo(pair, "--max-sockets", "2000") as server:
        with contextlib.ExitStack() as stack:
            socks = []
            for _ in range(1500):
                sock = stack.enter_context(pair.peer.socket(socket.AF_INET, socket.SOCK_STREAM))
                sock.setblocking(False)
                equal("connect", sock.connect_ex((ENGINE, PORT)), errno.EINPROGRESS)
                socks.append(sock)
            for i, sock in enumerate(socks):
                sock.settimeout(20)
                check(becomes_writable(sock, 20), "connection %d was not made", i)
                equal("error of connection %d" % i,
                      sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)
                sock.sendall(b"this is %d" % i)
            for i, sock in enumerate(socks):
                equal("echo on connection %d" % i, sock.recv(100), b"this is %d" % i)
        counters = server.finish()
        equal("tcp.passive_opens", counters["tcp.passive_opens"], 1500)


@case("1,000 connections at once from the engine: each has its own echo")
def _():
    with Pair() as pair, KernelEcho(pair):
        api(pair, "many", 1000)


main()
