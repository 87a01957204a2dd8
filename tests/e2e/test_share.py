#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_share.py - one engine driven by many processes: what happens when they are killed, stopped, or busy, and
what it costs when nothing happens. The processes are those of tests/tools/crowd.c.
"""
import random
import select
import socket
import threading

from lib import *

SERVERS = 4


class Crowd(Process):
    def __init__(self, pair, servers=SERVERS, kills=0, address=ENGINE + "/24", inside=False):
        super().__init__([os.path.join(BUILD, "tests/tools/crowd"), "v0", address, str(PORT),
                          str(servers), str(kills), *(["inside"] if inside else [])],
                         ns=pair.engine, stdin=subprocess.PIPE, name="crowd")

    def started(self):
        wait_for("the servers", lambda: self.alive() and b"ready" in self.stdout(), timeout=10)

    def say(self, what):
        self.proc.stdin.write(("%s\n" % what).encode())
        self.proc.stdin.flush()

    def end(self):
        """End in order; what the keeper has counted."""
        self.proc.stdin.close()
        equal("crowd's status", self.wait(15), 0)
        return {line.split()[0]: int(line.split()[1]) for line in self.stdout().decode().splitlines()
                if len(line.split()) == 2}


class Client(threading.Thread):
    """Sends and checks what comes back, on one connection after the other."""

    def __init__(self, pair, stop, seed, patience):
        super().__init__(daemon=True)
        self.pair, self.stop, self.random = pair, stop, random.Random(seed)
        self.patience, self.longest = patience, 0
        self.rounds = self.lost = self.lost_of_zero = 0
        self.wrong = None

    def converse(self, sock):
        number = sock.recv(1)
        if not number:
            raise ConnectionError
        self.number = number[0]
        while not self.stop.is_set():
            asked = time.monotonic()
            data = self.random.randbytes(self.random.choice((1, 100, 3000, 20000)))
            sock.sendall(data)
            got = b""
            while len(got) < len(data):
                part = sock.recv(65536)
                if not part:
                    raise ConnectionError
                got += part
            if got != data:
                self.wrong = "server %d: %d bytes differ" % (self.number, len(data))
                self.stop.set()
            self.rounds += 1
            self.longest = max(self.longest, time.monotonic() - asked)

    def run(self):
        while not self.stop.is_set():
            self.number = None
            try:
                with self.pair.peer.connect((ENGINE, PORT), timeout=self.patience) as sock:
                    self.converse(sock)
            except socket.timeout:
                self.wrong = "server %s does not answer" % self.number
                self.stop.set()
            except (ConnectionError, OSError):
                self.lost += 1
                self.lost_of_zero += self.number == 0


def talk(pair, clients, seconds=None, until=None, timeout=120, patience=10):
    stop = threading.Event()
    threads = [Client(pair, stop, seed, patience) for seed in range(clients)]
    for t in threads:
        t.start()
    if until:
        wait_for("what is being waited for", lambda: stop.is_set() or until(), timeout=timeout, interval=0.1)
    else:
        stop.wait(seconds)
    stop.set()
    for t in threads:
        t.join(patience + 5)
    for t in threads:
        check(not t.wrong, "%s", t.wrong)
    return threads


def ask(pair, sock, data=b"are you there?"):
    sock.sendall(data)
    got = b""
    while len(got) < len(data):
        part = sock.recv(4096)
        check(part, "the connection has ended")
        got += part
    equal("the echo", got, data)


def connections(pair, wanted):
    """One connection to each of these servers."""
    found, others = {}, []
    for _ in range(200):
        sock = pair.peer.connect((ENGINE, PORT))
        sock.settimeout(10)
        number = sock.recv(1)[0]
        if number in wanted and number not in found:
            found[number] = sock
        else:
            others.append(sock)
        if len(found) == len(wanted):
            break
        time.sleep(0.005)
    for sock in others:
        sock.close()
    equal("servers that answer", sorted(found), sorted(wanted))
    return found


def kill_servers(kills, inside=False):
    """Killed while they work, most die inside the lock: a hundred in a second. What is under way then is lost each
    time, so that pauses of seconds are to be expected, but no client is forgotten."""
    with Pair() as pair, Crowd(pair, kills=kills, inside=inside) as crowd:
        threads = talk(pair, 12, until=lambda: b"killed" in crowd.stdout() or not crowd.alive(), timeout=150,
                       patience=60 if inside else 10)
        check(crowd.alive(), "the keeper has ended with %s", crowd.proc.returncode)
        after = talk(pair, 4, seconds=1)
        check(sum(t.rounds for t in after) > 10, "hardly anything goes through afterwards")
        settle(pair, 70)  # a FIN that was lost again and again is not sent soon; the keeper waits 5 s for it
        count = crowd.end()
        note("%d echoes, %d connections lost with their server, %d salvages, longest pause %.1f s" %
             (sum(t.rounds for t in threads), sum(t.lost for t in threads), count["engine.salvages"],
              max(t.longest for t in threads)))
        if inside:  # at random points it is rare, and a busy machine may see none
            check(count["engine.salvages"] > kills / 5, "%d died with the lock held", count["engine.salvages"])
        # A connection that is being changed when another process dies is reset.
        check(sum(t.lost_of_zero for t in threads) <= count["engine.salvages"],
              "server 0 has lost %d connections", sum(t.lost_of_zero for t in threads))
        equal("XDP", pair.xdp(), None)
        equal("sockets left", count["sockets"], 1)
        equal("connections left", count["connections"], 0)
        check(count["frames_lost"] <= 0, "%d frames are lost", count["frames_lost"])


@case("1,000 servers are killed at random points: bytes stay exact, connections of others go on",
      timeout=250)
def _():
    kill_servers(1000)


@case("500 are killed while they work, most of them inside the lock: the stack stays, and bytes exact",
      timeout=400)
def _():
    kill_servers(500, inside=True)


@case("kill -9 of one server: the others go on; kill -9 of all: the interface is the kernel's again")
def _():
    with Pair() as pair, Crowd(pair) as crowd:
        socks = connections(pair, range(SERVERS))
        crowd.say("kill 1")
        wait_for("the end of its connection", lambda: select.select([socks[1]], [], [], 0)[0])
        for n in (0, 2, 3):
            ask(pair, socks[n])
        for n in (0, 2, 3):
            crowd.say("kill %d" % n)
        crowd.proc.stdin.close()
        crowd.wait(15)
        equal("XDP", pair.xdp(), None)
        equal("echo replies of the kernel's own address", ping(pair, NEIGHBOUR, count=1, wait=1), 1)


@case("a server that is stopped, or computes, holds up nobody else")
def _():
    with Pair() as pair, Crowd(pair) as crowd:
        socks = connections(pair, range(SERVERS))
        for n in (0, 1, 2):
            ask(pair, socks[n])  # the last one leads now, perhaps
            crowd.say("stop %d" % n)
            ask(pair, socks[3])
            crowd.say("go %d" % n)
            ask(pair, socks[n])
        crowd.say("spin 0")
        for _ in range(3):
            for n in (1, 2, 3):
                ask(pair, socks[n])
        crowd.say("kill 0")
        crowd.end()


@case("1,000 idle connections cost no CPU, neither in the servers nor in the keeper")
def _():
    with Pair() as pair, Crowd(pair) as crowd:
        socks = [pair.peer.connect((ENGINE, PORT)) for _ in range(1000)]
        for sock in socks:
            sock.settimeout(10)
            equal("bytes of greeting", len(sock.recv(1)), 1)
        time.sleep(1)
        pids = [crowd.pid] + children(crowd.pid)
        for pid in children(crowd.pid):
            pids += children(pid)
        before = sum(cpu_of(pid) for pid in pids)
        time.sleep(2)
        used = sum(cpu_of(pid) for pid in pids) - before
        check(used < 0.06, "%.0f ms of CPU in 2 s, of %d processes", used * 1000, len(pids))
        for sock in socks[::100]:
            ask(pair, sock)
        for sock in socks:
            sock.close()
        crowd.end()


@case("a keeper that may have no more files turns newcomers away, and goes on")
def _():
    with Pair() as pair, Crowd(pair) as crowd:
        socks = connections(pair, range(SERVERS))
        with pair.engine.entered(), open("/proc/thread-self/net/unix") as f:
            name = re.search(r"@(millrace/v0/%d-\w+)" % crowd.pid, f.read())[1]
        used = sorted(int(fd) for fd in os.listdir("/proc/%d/fd" % crowd.pid))
        _, most = resource.prlimit(crowd.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(crowd.pid, resource.RLIMIT_NOFILE, (used[-1] + 1, most))
        with contextlib.ExitStack() as stack:
            for i in range(used[-1] + 1 - len(used) + 3):  # numbers in between are free
                sock = stack.enter_context(pair.engine.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
                sock.connect("\0" + name)
                if i > used[-1] - len(used):
                    sock.settimeout(10)
                    equal("the keeper's answer", sock.recv(100), b"")
        for sock in socks.values():
            ask(pair, sock)
        crowd.end()


@case("a server that a keeper without a free descriptor cannot watch keeps its place, and its end is seen later")
def _():
    with Pair() as pair, Crowd(pair) as crowd, contextlib.ExitStack() as guests:
        def files():
            return sorted(int(fd) for fd in os.listdir("/proc/%d/fd" % crowd.pid))
        socks = connections(pair, range(SERVERS))
        with pair.engine.entered(), open("/proc/thread-self/net/unix") as f:
            name = re.search(r"@(millrace/v0/%d-\w+)" % crowd.pid, f.read())[1]
        before = files()
        crowd.say("kill 3")
        wait_for("the keeper's files of server 3 closed", lambda: len(files()) < len(before) - 1)
        used = files()
        limits = resource.prlimit(crowd.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(crowd.pid, resource.RLIMIT_NOFILE, (used[-1] + 2, limits[1]))
        for _ in range(used[-1] + 1 - len(used)):  # all but one
            guest = guests.enter_context(pair.engine.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            guest.connect("\0" + name)
        wait_for("the keeper's last descriptor but one", lambda: len(files()) == used[-1] + 1)
        crowd.say("start 3")
        socks[3] = connections(pair, [3])[3]
        for sock in socks.values():
            ask(pair, sock)
        resource.prlimit(crowd.pid, resource.RLIMIT_NOFILE, limits)
        crowd.say("kill 3")
        wait_for("the end of its connection", lambda: select.select([socks[3]], [], [], 0)[0])
        for n in (0, 1, 2):
            ask(pair, socks[n])
        crowd.end()


@case("the same on the kernel's address: neighbours are forgotten and asked for again by any process")
def _():
    with Pair() as pair, Crowd(pair, address="shared", kills=100) as crowd:
        wait_for("the end of the killing", lambda: b"killed" in crowd.stdout(), timeout=20)
        for _ in range(3):
            with pair.peer.connect((NEIGHBOUR, PORT)) as sock:
                equal("bytes of greeting", len(sock.recv(1)), 1)
                ask(pair, sock)
                run("ip", "neigh", "flush", "dev", "v0", ns=pair.engine)
                ask(pair, sock)
            equal("echo replies of the kernel", ping(pair, NEIGHBOUR, count=1, wait=1), 1)
        crowd.end()
        equal("XDP", pair.xdp(), None)


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return [int(word) for word in f.read().split()]


def cpu_of(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


main()
