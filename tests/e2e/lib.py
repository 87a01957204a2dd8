# SPDX-License-Identifier: BSD-2-Clause
"""
lib.py - what the end-to-end tests stand on: namespaces and veth pairs, the millrace command,
captures at the peer, a bad wire, and the loop that runs cases and prints TAP.

Everything that is made here is a context manager and is taken away again, also after an exception,
a timeout or SIGTERM. After a SIGKILL, children die with this process and the next run removes what
it left. Every wait has a limit. Python 3.9 and its standard library are enough.

The ground of a test is a Pair: two namespaces and a veth pair between them.

    engine side, v0                                peer side, v1
    10.77.0.2  the engine's, unknown to the kernel  10.77.0.1  the kernel's
    10.77.0.3  the kernel's own

With v6 both kernels speak IPv6, too; the peer has fd77::1, and fd77::2 is meant for the engine.
"""
import collections
import contextlib
import ctypes
import glob
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

ENGINE = "10.77.0.2"
PEER = "10.77.0.1"
NEIGHBOUR = "10.77.0.3"  # the kernel's own address on the engine's interface
PREFIX = 24
ENGINE6 = "fd77::2"
PEER6 = "fd77::1"
PORT = 8080

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
MILLRACE = os.environ.get("MILLRACE", os.path.join(BUILD, "millrace"))

TEMPORARY = "millrace-e2e-%d-" % os.getpid()  # how names of files and directories begin

MIB = 1 << 20

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """What was claimed does not hold."""


class Skip(Exception):
    """The machine lacks what the case needs."""


class OutOfTime(BaseException):
    """The case's time is over; a BaseException so that no loop that retries swallows it."""


def check(condition, message, *args):
    if not condition:
        raise Failure(message % args if args else message)


def equal(what, got, wanted):
    check(got == wanted, "%s is %r and should be %r", what, got, wanted)


def need(*commands):
    """Skip the case unless these programs are installed."""
    for command in commands:
        if not shutil.which(command):
            raise Skip("%s is not installed" % command)


def wait_for(what, condition, timeout=5.0, interval=0.02):
    """Return condition()'s first true value, or fail after timeout seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        check(time.monotonic() < deadline, "not within %g s: %s", timeout, what)
        time.sleep(interval)


# ---- Commands and processes ---------------------------------------------------------------------


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def run(*argv, ns=None, timeout=10, ok=True, stdin=None, cwd=None):
    """Run a command to its end. Unless ok is False, a status other than 0 is a failure."""
    argv = ns.argv(argv) if ns else list(argv)
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout,
                          cwd=cwd, preexec_fn=_die_with_parent, errors="replace")
    if ok and done.returncode:
        raise Failure("%s: status %d: %s" % (" ".join(argv), done.returncode,
                                             done.stderr.strip() or done.stdout.strip()))
    return done


def last_words(text, most=60):
    """The lines of a log, each where it stood first and with how often it came: what ended it is not
    drowned by what all say who come too late. Of too many, the beginning and the end."""
    count = collections.Counter(text.splitlines())
    lines = ["%s (%d times)" % (line, n) if n > 1 else line for line, n in count.items()]
    if len(lines) > most:
        lines[most // 2:-most // 2] = ["..."]
    return lines


class Process:
    """A command in the background. Its output goes to files: nobody has to drain a pipe."""

    def __init__(self, argv, ns=None, stdin=subprocess.DEVNULL, stdout=None, name=None):
        self.argv = ns.argv(argv) if ns else list(argv)
        self.name = name or os.path.basename(argv[0])
        self._stdin = stdin
        self._stdout = stdout
        self.proc = None

    def __enter__(self):
        self._dir = tempfile.mkdtemp(prefix=TEMPORARY)
        self._out = os.path.join(self._dir, "stdout")
        self._err = os.path.join(self._dir, "stderr")
        try:
            with open(self._out, "wb") as out, open(self._err, "wb") as err:
                self.proc = subprocess.Popen(self.argv, stdin=self._stdin,
                                             stdout=self._stdout or out, stderr=err,
                                             preexec_fn=_die_with_parent)
            self.started()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def started(self):
        """For subclasses: wait until it is of use."""

    def __exit__(self, kind, _value, _trace):
        if self.proc and self.proc.poll() is None:
            self.proc.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.proc.wait(3)
            if self.proc.poll() is None:
                self.proc.kill()
                self.proc.wait(5)
        if kind and self.proc and not issubclass(kind, Skip):
            note("%s ended with %s; its last words:" % (self.name, self.proc.returncode))
            for line in last_words(self.stderr()):
                note("  " + line)
        shutil.rmtree(self._dir, ignore_errors=True)

    @property
    def pid(self):
        return self.proc.pid

    def stdout(self):
        with open(self._out, "rb") as f:
            return f.read()

    def stderr(self):
        with open(self._err, "rb") as f:
            return f.read().decode(errors="replace")

    def alive(self):
        return self.proc.poll() is None

    def wait(self, timeout=10):
        """The exit status; fails when the process does not end by itself."""
        try:
            return self.proc.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failure("%s did not end within %g s" % (self.name, timeout)) from None

    def stop(self, timeout=5):
        """SIGTERM; the exit status."""
        if self.alive():
            self.proc.terminate()
        return self.wait(timeout)

    def kill(self):
        self.proc.kill()
        self.proc.wait(5)

    def cpu_seconds(self):
        """CPU time used so far by all its threads, from the scheduler's own clock."""
        total = 0
        for path in glob.glob("/proc/%d/task/*/schedstat" % self.pid):
            with open(path) as f:
                total += int(f.read().split()[0])
        return total / 1e9


# ---- Namespaces and veth pairs ------------------------------------------------------------------


class Namespace:
    def __init__(self, name):
        self.name = name

    def argv(self, argv):
        return ["ip", "netns", "exec", self.name] + [str(a) for a in argv]

    @contextlib.contextmanager
    def entered(self):
        """Sockets that this thread makes inside belong to the namespace, also afterwards."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open("/run/netns/" + self.name, os.O_RDONLY)
        try:
            _setns(there)
            try:
                yield
            finally:
                _setns(home)
        finally:
            os.close(there)
            os.close(home)

    def socket(self, *args):
        with self.entered():
            return socket.socket(*args)

    def connect(self, address, timeout=10):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = self.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout)
            sock.connect(address)
        except BaseException:
            sock.close()
            raise
        return sock

    def listen(self, address, backlog=1024, timeout=10):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = self.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(backlog)
            sock.settimeout(timeout)
        except BaseException:
            sock.close()
            raise
        return sock


def _setns(fd):
    if _libc.setns(fd, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _sweep():
    """Remove what killed runs have left: namespaces, and files in the temporary directories."""

    def left(pattern):
        for path in glob.glob(pattern):
            pid = re.match(r"(?:mr|millrace)-e2e-(\d+)-", os.path.basename(path))
            if pid and not os.path.exists("/proc/" + pid[1]):
                yield path

    for path in left("/run/netns/mr-e2e-*"):
        run("ip", "netns", "del", os.path.basename(path), ok=False)
    for directory in ("/dev/shm", tempfile.gettempdir()):
        for path in left(os.path.join(directory, "millrace-e2e-*")):
            if os.path.isdir(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)


class Pair:
    """Two namespaces with a veth pair between them; see the picture at the top of the file."""

    made = 0

    def __init__(self, mtu=1500, queues=1, peer_tx_csum=True, peer_tso=True, v6=False):
        Pair.made += 1
        self.engine = Namespace("mr-e2e-%d-%de" % (os.getpid(), Pair.made))
        self.peer = Namespace("mr-e2e-%d-%dp" % (os.getpid(), Pair.made))
        self.mtu = mtu
        self.queues = queues
        self.v6 = v6
        self._tx_csum = peer_tx_csum
        self._tso = peer_tso

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _make(self):
        for ns in (self.engine, self.peer):
            run("ip", "netns", "add", ns.name)
            off = 0 if self.v6 else 1
            run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=%d" % off,
                "net.ipv6.conf.default.disable_ipv6=%d" % off,
                "net.ipv6.conf.default.accept_dad=0", ns=ns)
            run("ip", "link", "set", "lo", "up", ns=ns)
        queues = ["numrxqueues", str(self.queues), "numtxqueues", str(self.queues)]
        run("ip", "link", "add", "v0", "netns", self.engine.name, "mtu", str(self.mtu), *queues,
            "type", "veth",
            "peer", "name", "v1", "netns", self.peer.name, "mtu", str(self.mtu), *queues)
        run("ip", "addr", "add", "%s/%d" % (NEIGHBOUR, PREFIX), "dev", "v0", ns=self.engine)
        run("ip", "addr", "add", "%s/%d" % (PEER, PREFIX), "dev", "v1", ns=self.peer)
        if self.v6:
            run("ip", "addr", "add", PEER6 + "/64", "dev", "v1", "nodad", ns=self.peer)
        self.peer_offload(self._tx_csum, self._tso)
        self.up()

    def __exit__(self, *_exc):
        for ns in (self.engine, self.peer):
            if os.path.exists("/run/netns/" + ns.name):
                run("ip", "netns", "del", ns.name, ok=False)

    def peer_offload(self, tx_csum, tso):
        """Checksum offload off takes segmentation offload with it."""
        need("ethtool")
        run("ethtool", "-K", "v1", "tx", "on" if tx_csum else "off", ns=self.peer, ok=False)
        run("ethtool", "-K", "v1", "tso", "on" if tso else "off", "gso", "on" if tso else "off",
            ns=self.peer, ok=False)

    def set_mtu(self, mtu):
        run("ip", "link", "set", "v0", "mtu", mtu, ns=self.engine)
        run("ip", "link", "set", "v1", "mtu", mtu, ns=self.peer)
        self.mtu = mtu

    def up(self):
        run("ip", "link", "set", "v0", "up", ns=self.engine)
        run("ip", "link", "set", "v1", "up", ns=self.peer)

    def down(self):
        run("ip", "link", "set", "v0", "down", ns=self.engine)

    def cut(self):
        """Delete the pair, from the peer's side."""
        run("ip", "link", "del", "v1", ns=self.peer)

    def xdp(self):
        """The interface's XDP attachment: "generic", "native" or None."""
        link = json.loads(run("ip", "-j", "-d", "link", "show", "v0", ns=self.engine).stdout)[0]
        mode = link.get("xdp", {}).get("mode", 0)
        return {0: None, 1: "native", 2: "generic"}.get(mode, "mode %d" % mode)

    def counter(self, ns, dev, name):
        """An interface counter, e.g. ("v1", "rx_bytes")."""
        path = "/sys/class/net/%s/statistics/%s" % (dev, name)
        return int(run("cat", path, ns=ns).stdout)

    def forget_neighbours(self):
        run("ip", "neigh", "flush", "all", ns=self.peer)

    def arp(self, target=ENGINE, timeout=1.0, broadcast=True, target_mac=None, sender="0.0.0.0"):
        """Ask the wire who has an address. The MAC address of the answer, or None."""
        with self.peer.entered():
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
        with sock:
            sock.bind(("v1", 0x0806))
            own = sock.getsockname()[4]
            dst = b"\xff" * 6 if broadcast else target_mac
            sock.send(dst + own + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1) + own +
                      socket.inet_aton(sender) + bytes(6) + socket.inet_aton(target))
            deadline = time.monotonic() + timeout
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                sock.settimeout(left)
                try:
                    frame = sock.recv(2048)
                except TimeoutError:
                    return None
                if frame[20:22] == b"\0\2" and frame[28:32] == socket.inet_aton(target):
                    return frame[22:28]


class BadWire:
    """lossy.bpf.c on both directions of the peer's interface: 2% lost, 1% twice."""

    def __init__(self, pair):
        self.pair = pair
        self.object = os.path.join(BUILD, "tests/e2e/lossy.bpf.o")

    def __enter__(self):
        need("tc", "bpftool")
        check(os.path.exists(self.object), "%s is not built: make tests", self.object)
        # Super-frames are cut behind tc: without this, one dice would throw for 45 packets.
        run("ip", "link", "set", "v1", "gso_max_segs", "1", ns=self.pair.peer)
        run("tc", "qdisc", "add", "dev", "v1", "clsact", ns=self.pair.peer)
        for way in ("ingress", "egress"):
            run("tc", "filter", "add", "dev", "v1", way, "bpf", "direct-action", "object-file",
                self.object, "section", "tc/" + way, ns=self.pair.peer)
        return self

    def __exit__(self, *_exc):
        run("tc", "qdisc", "del", "dev", "v1", "clsact", ns=self.pair.peer, ok=False)

    def counts(self, way):
        """(seen, lost, duplicated) packets of one way."""
        shown = run("tc", "filter", "show", "dev", "v1", way, ns=self.pair.peer).stdout
        prog = re.search(r"\bid (\d+)", shown)[1]
        maps = json.loads(run("bpftool", "-j", "prog", "show", "id", prog).stdout)["map_ids"]
        dump = json.loads(run("bpftool", "-j", "map", "dump", "id", str(maps[0])).stdout)
        return [sum(cpu["value"] for cpu in row["formatted"]["values"]) for row in dump]

    def check_was_bad(self):
        """A test of loss that lost nothing has tested nothing."""
        for way in ("ingress", "egress"):
            seen, lost, twice = self.counts(way)
            check(lost > 0 and twice > 0, "the wire was too good: %s: %d seen, %d lost, %d twice",
                  way, seen, lost, twice)


class Capture(Process):
    """tcpdump at the peer."""

    def __init__(self, pair, *expression, snaplen=0):
        need("tcpdump")
        self.pair = pair
        fd, self.path = tempfile.mkstemp(prefix=TEMPORARY, suffix=".pcap")
        os.close(fd)
        super().__init__(["tcpdump", "-i", "v1", "-n", "-U", "-B", "65536", "-Z", "root", "-s",
                          str(snaplen), "-w", self.path, *expression], ns=pair.peer)

    def started(self):
        wait_for("tcpdump listens", lambda: "listening on" in self.stderr() or not self.alive())
        check(self.alive(), "tcpdump did not start: %s", self.stderr())

    def __exit__(self, *exc):
        super().__exit__(*exc)
        os.unlink(self.path)

    def finish(self):
        """End the capture, and be sure that it is complete."""
        time.sleep(1.2)  # tcpdump hears of a block that is not full after a second
        self.proc.send_signal(signal.SIGINT)
        self.wait(20)
        lost = re.search(r"(\d+) packets? dropped by kernel", self.stderr())
        check(lost, "tcpdump said nothing of lost packets: %s", self.stderr())
        equal("packets that tcpdump lost", int(lost[1]), 0)
        return self.path


# ---- The millrace command -----------------------------------------------------------------------


def parse_counters(text):
    """The last table of counters in text, as {"layer.name": value}. Zeros are not printed."""
    counters, layer = {}, None
    for line in text.splitlines():
        heading = re.fullmatch(r"([a-z0-9_]+)", line)
        row = re.match(r"  ([a-z0-9_.]+) +([\d,]+)  ", line)
        if heading:
            layer = heading[1]
        elif row and layer:
            counters[layer + "." + row[1]] = int(row[2].replace(",", ""))
    return counters


class Counters(dict):
    def __missing__(self, _name):
        return 0

    def dropped(self, reason):
        """By the XDP program and by the engine."""
        return self["xdp.drop." + reason] + self["drop." + reason]

    def sum(self, prefix):
        return sum(v for k, v in self.items() if k.startswith(prefix))


class Millrace(Process):
    """`millrace serve|nc|echo` on v0. With ready, __enter__ returns once the engine answers ARP.

    Without tso every segment is a packet with a whole checksum, which is what a capture at the peer is
    judged by."""

    def __init__(self, pair, command, *args, address=ENGINE, ready=True, binary=None, stats=True,
                 tso=False, stdin=subprocess.DEVNULL, stdout=None, wrap=()):
        self.pair = pair
        self.address = address
        self._ready = ready
        binary = binary or MILLRACE
        check(os.path.exists(binary), "%s is not built: run make", binary)
        super().__init__([*wrap, binary, command, "-i", "v0", "--address",
                          "%s/%d" % (address, PREFIX), *(["--stats"] if stats else []),
                          *([] if tso else ["--tso", "off"]),
                          *map(str, args)],
                         ns=pair.engine, stdin=stdin, stdout=stdout, name="millrace " + command)

    def started(self):
        if not self._ready:
            return
        deadline = time.monotonic() + 20
        while not self.pair.arp(self.address, timeout=0.05):
            check(self.alive(), "millrace ended at once, with status %s", self.proc.returncode)
            check(time.monotonic() < deadline, "the engine does not answer ARP within 20 s")

    def counters(self):
        """The counters now. Waits until the table has been written to its end."""
        start = len(self.stderr())
        self.proc.send_signal(signal.SIGUSR1)
        wait_for("counters after SIGUSR1", lambda: len(self.stderr()) > start)
        size = -1
        while size != len(self.stderr()):
            size = len(self.stderr())
            time.sleep(0.05)
        return Counters(parse_counters(self.stderr()[start:]))

    def finish(self, status=0):
        """End it in order: exit status as expected, no sanitizer's report. The last counters."""
        start = len(self.stderr())
        equal("exit status of " + self.name, self.stop(10), status)
        return self.last_counters(start)

    def last_counters(self, start=0):
        """The counters of a process that has ended."""
        text = self.stderr()
        for mark in ("AddressSanitizer", "LeakSanitizer", "runtime error"):
            check(mark not in text, "sanitizer: %s", mark)
        return Counters(parse_counters(text[start:]))


def serve(pair, directory, *args, **kwargs):
    return Millrace(pair, "serve", "--port", PORT, *args, directory, **kwargs)


def echo(pair, *args, **kwargs):
    return Millrace(pair, "echo", "--port", PORT, *args, **kwargs)


def sanitized():
    """The command built with ASan and UBSan. It is built now, if missing or out of date."""
    run("make", "-C", ROOT, "SAN=1", "BUILD=build/san", "-j2", "build/san/millrace", timeout=240)
    return os.path.join(ROOT, "build/san/millrace")


def url(name="", address=ENGINE, port=PORT):
    return "http://%s:%d/%s" % ("[%s]" % address if ":" in address else address, port, name)


# ---- Files and transfers ------------------------------------------------------------------------


@contextlib.contextmanager
def scratch(need_bytes=0):
    """A directory that is removed afterwards, in memory if there is room for need_bytes."""
    base = None
    with contextlib.suppress(OSError):
        st = os.statvfs("/dev/shm")
        room = min(st.f_bavail * st.f_frsize, available_memory() // 2)
        if room > need_bytes + 64 * MIB:
            base = "/dev/shm"
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=base) as path:
        st = os.statvfs(path)
        if st.f_bavail * st.f_frsize < need_bytes:
            raise Skip("no %d MiB of room in %s" % (need_bytes // MIB, path))
        yield path


def available_memory():
    with open("/proc/meminfo") as f:
        return int(re.search(r"MemAvailable: +(\d+) kB", f.read())[1]) * 1024


@contextlib.contextmanager
def far_host(pair, address, mtu=600):
    """A host behind the peer, which routes, and cuts into fragments what is too long on the way to address."""
    far = Namespace(pair.peer.name + "2")
    run("ip", "netns", "add", far.name)
    try:
        run("ip", "link", "add", "w0", "netns", pair.peer.name, "type", "veth", "peer", "name", "w1", "netns", far.name)
        run("sysctl", "-qw", "net.ipv4.ip_forward=1", ns=pair.peer)
        run("ip", "addr", "add", "192.0.2.1/24", "dev", "w0", ns=pair.peer)
        run("ip", "addr", "add", "192.0.2.2/24", "dev", "w1", ns=far)
        run("ip", "link", "set", "w0", "up", ns=pair.peer)
        run("ip", "link", "set", "w1", "up", ns=far)
        run("ip", "route", "add", "default", "via", "192.0.2.1", ns=far)
        run("sysctl", "-qw", "net.ipv4.ip_no_pmtu_disc=1", ns=far)  # no DF
        run("ip", "route", "add", address + "/32", "dev", "v1", "mtu", "lock", str(mtu), ns=pair.peer)
        yield far
    finally:
        run("ip", "netns", "del", far.name, ok=False)


def make_file(path, size, seed=1):
    """A file of size bytes in which every 8 bytes differ from all others. Returns its sha256."""
    digest = hashlib.sha256()
    rest = hashlib.shake_128(b"%d" % seed).digest(min(size, MIB))
    word = int.from_bytes(rest[:8], "little")
    block, n = rest, 0
    with open(path, "wb") as f:
        left = size
        while left:
            piece = block[:left]
            f.write(piece)
            digest.update(piece)
            left -= len(piece)
            n += 1
            # The next MiB: the first one rotated by a number of bytes that does not repeat soon,
            # and stamped with its own number, so that no two blocks can be taken for each other.
            turn = (n * 7919 + word) % len(rest)
            block = struct.pack("<Q", n) + rest[turn:] + rest[:turn]
            block = block[:len(rest)]
    return digest.hexdigest()


def sha256_file(path, timeout=60):
    return run("sha256sum", path, timeout=timeout).stdout.split()[0].lstrip("\\")


def download(pair, name, timeout=30, address=ENGINE, port=PORT, extra=()):
    """curl a file at the peer; the sha256 of what arrived."""
    curl = Process(["curl", "--globoff", "--silent", "--show-error", "--fail",
                    "--max-time", str(timeout), *extra, url(name, address, port)],
                   ns=pair.peer, stdout=subprocess.PIPE)
    with curl, Process(["sha256sum"], stdin=curl.proc.stdout) as digest:
        curl.proc.stdout.close()
        status = curl.wait(timeout + 5)
        check(status == 0, "curl %s: status %d: %s", name, status, curl.stderr().strip())
        digest.wait(20)
        return digest.stdout().split()[0].decode()


def upload(pair, path, name, timeout=30, extra=(), address=ENGINE):
    """curl PUTs a file from the peer."""
    done = run("curl", "--silent", "--show-error", "--fail", "--max-time", str(timeout), *extra,
               "--globoff", "--upload-file", path, url(name, address), ns=pair.peer,
               timeout=timeout + 5, ok=False)
    check(done.returncode == 0, "curl --upload-file %s: status %d: %s", name, done.returncode,
          done.stderr.strip())


def ping(pair, address=ENGINE, count=1, size=56, wait=1, ns=None, extra=()):
    """How many of count echo requests were answered."""
    need("ping")
    done = run("ping", "-n", "-q", "-c", str(count), "-s", str(size), "-W", str(wait), "-i", "0.02",
               *extra, address, ns=ns or pair.peer, timeout=count * 1.1 + wait + 5, ok=False)
    got = re.search(r"(\d+) received", done.stdout)
    return int(got[1]) if got else 0


# ---- tshark as the judge ------------------------------------------------------------------------


def tshark(path, *fields, filter="", timeout=60):
    """The fields of every packet that the filter shows, as tuples of text."""
    need("tshark")
    argv = ["tshark", "-r", path, "-n", "-T", "fields", "-E", "separator=/t", "-E", "occurrence=f"]
    # Not HTTP: where a segment of a body was lost it takes what follows for a new message.
    argv += ["-d", "tcp.port==%d,data" % PORT]
    for option in ("tcp.check_checksum:TRUE", "ip.check_checksum:TRUE"):
        argv += ["-o", option]
    for field in fields:
        argv += ["-e", field]
    if filter:
        argv += ["-Y", filter]
    out = run(*argv, timeout=timeout).stdout
    return [tuple(line.split("\t")) for line in out.splitlines()]


_FIN, _SYN, _RST = 1, 2, 4


def judge(path, duplicates=False):
    """
    What every capture of honest traffic must show: no packet malformed, each checksum there and
    right (so the peer must not offload its own), each connection ended by FIN both ways and no RST.
    Returns the number of connections.

    On a wire that duplicates packets one RST has its explanation: the last FIN came twice, so its
    ACK did, too, and the second of these finds no connection any more (RFC 9293 section 3.10.7.1).
    """
    rows = tshark(path, "frame.number", "tcp.stream", "ip.src", "ipv6.src", "tcp.flags",
                  "tcp.checksum.status", "ip.checksum.status", "_ws.malformed", "tcp.checksum",
                  "tcp.checksum_calculated", timeout=120)
    fins, syns = {}, set()
    for frame, stream, src4, src6, flags, tcp_sum, ip_sum, malformed, field, calculated in rows:
        src = src4 or src6
        check(not malformed, "packet %s of the capture is malformed", frame)
        check(ip_sum in ("", "1", "Good"), "packet %s: bad IP checksum (%s)", frame, ip_sum)
        if not stream:
            continue
        # Linux writes 0xffff for a sum of zero, in TCP as well as in UDP. It is as right as 0, but
        # not what RFC 9293 computes, and tshark says so.
        mangled_zero = src in (PEER, PEER6) and field == "0xffff" and calculated == "0x0000"
        check(tcp_sum in ("1", "Good") or mangled_zero, "packet %s: bad TCP checksum (%s)", frame,
              tcp_sum)
        bits = int(flags, 16)
        ended = fins.setdefault(stream, set())
        if bits & _SYN:
            syns.add(stream)
        if bits & _FIN:
            ended.add(src)
        if bits & _RST:
            check(duplicates and len(ended) == 2, "unexplained reset in packet %s", frame)
    half = [s for s in syns if len(fins[s]) != 2]
    check(not half, "streams without FIN both ways: %s of %d", ", ".join(half[:10]), len(syns))
    return len(syns)


def settle(pair, timeout=20):
    """Wait until the peer has no connection left but those in TIME-WAIT."""
    wait_for("the peer's connections to end",
             lambda: not run("ss", "-Htan", "state", "all", "exclude", "listening", "exclude",
                             "time-wait", "exclude", "closed", ns=pair.peer).stdout.strip(),
             timeout, 0.1)


# ---- Cases --------------------------------------------------------------------------------------

_cases = []


def case(claim, timeout=60):
    """Register a case. timeout (seconds) ends one that hangs."""

    def register(function):
        _cases.append((claim, timeout, function))
        return function

    return register


def note(text):
    for line in str(text).splitlines() or [""]:
        print("# " + line, flush=True)


def _on_alarm(_signo, _frame):
    raise OutOfTime


def _on_term(signo, _frame):
    raise SystemExit(128 + signo)


def _run_case(claim, timeout, function):
    """One TAP line; whether it is no failure."""
    started = time.monotonic()
    try:
        signal.setitimer(signal.ITIMER_REAL, timeout)
        try:
            function()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except Skip as reason:
        print("ok - %s # SKIP %s" % (claim, reason), flush=True)
        return True
    except Failure as failure:
        note(failure)
    except OutOfTime:
        note("no end within %d s" % timeout)
    except Exception:
        note(traceback.format_exc())
    else:
        print("ok - %s" % claim, flush=True)
        if os.environ.get("VERBOSE"):
            note("%.1f s" % (time.monotonic() - started))
        return True
    print("not ok - %s" % claim, flush=True)
    return False


def main():
    """Run the cases of this program, or those whose claim contains one of its arguments."""
    if os.geteuid() != 0:
        print("1..0 # SKIP namespaces, veth pairs and XDP need root")
        sys.exit(77)
    signal.signal(signal.SIGALRM, _on_alarm)
    signal.signal(signal.SIGTERM, _on_term)
    signal.signal(signal.SIGHUP, _on_term)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    _sweep()
    chosen = [c for c in _cases if len(sys.argv) < 2 or any(a in c[0] for a in sys.argv[1:])]
    results = [_run_case(*c) for c in chosen]
    sys.exit(0 if results and all(results) else 1)
