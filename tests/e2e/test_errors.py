#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_errors.py - what cannot work ends at once, with one sentence on stderr that says what is wrong
and what to do, and with a status that is not 0.
"""
from lib import *


def refused(pair, *argv, wrap=(), says=(), status=None):
    """Run millrace with argv; it must refuse in one sentence that holds each pattern of says."""
    done = run(*wrap, MILLRACE, *argv, ns=pair.engine, ok=False, timeout=20)
    lines = done.stderr.splitlines()
    shown = "stderr is:\n" + done.stderr
    check(done.returncode not in (0, 77) and done.returncode > 0, "exit status %d; %s",
          done.returncode, shown)
    if status is not None:
        equal("exit status", done.returncode, status)
    equal("standard output", done.stdout, "")
    check(len(lines) == 1, "%d lines instead of one sentence; %s", len(lines), shown)
    check(lines[0].startswith("millrace"), "the program is not named; %s", shown)
    check(len(lines[0]) > 30, "too short to tell what to do; %s", shown)
    for pattern in says:
        check(re.search(pattern, lines[0]), "%r is missing; %s", pattern, shown)
    note(lines[0])
    equal("XDP", pair.xdp(), None)


ECHO = ("echo", "-i", "v0", "--address", "%s/%d" % (ENGINE, PREFIX))
NO_PRIVILEGES = ("setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps=-all",
                 "--bounding-set=-all")


@case("without privileges: the missing capabilities are named")
def _():
    need("setpriv")
    with Pair() as pair, scratch() as directory:
        # The checkout may be closed to others: the command is taken to where they can run it.
        os.chmod(directory, 0o755)
        binary = shutil.copy(MILLRACE, os.path.join(directory, "millrace"))
        done = run(*NO_PRIVILEGES, binary, *ECHO, ns=pair.engine, ok=False)
        note(done.stderr)
        equal("lines on stderr", len(done.stderr.splitlines()), 1)
        check(done.returncode > 0, "exit status %d", done.returncode)
        for word in ("CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF"):
            check(word in done.stderr, "%s is not named", word)


@case("an interface that is not there: it is named")
def _():
    with Pair() as pair:
        refused(pair, "echo", "-i", "nosuch0", "--address", "10.0.0.5/24", says=["nosuch0"])


@case("an interface that is not Ethernet: refused")
def _():
    with Pair() as pair:
        refused(pair, "echo", "-i", "lo", "--address", "10.0.0.5/24", says=["lo"])


@case("an interface whose name is too long: refused")
def _():
    with Pair() as pair:
        refused(pair, "echo", "-i", "x" * 40, "--address", "10.0.0.5/24")


@case("a second process on the same interface: refused, and the first goes on")
def _():
    with Pair() as pair, echo(pair):
        done = run(MILLRACE, "echo", "-i", "v0", "--address", "10.77.0.9/24", ns=pair.engine,
                   ok=False, timeout=20)
        note(done.stderr)
        equal("lines on stderr", len(done.stderr.splitlines()), 1)
        check(done.returncode > 0, "exit status %d", done.returncode)
        check("v0" in done.stderr, "the interface is not named")
        with pair.peer.connect((ENGINE, PORT)) as sock:
            sock.sendall(b"still there?")
            equal("echo", sock.recv(100), b"still there?")


@case("another XDP program on the interface: refused, and that program stays")
def _():
    with Pair() as pair:
        other = os.path.join(BUILD, "tests/e2e/pass.bpf.o")
        check(os.path.exists(other), "%s is not built: make tests", other)
        run("ip", "link", "set", "v0", "xdpgeneric", "obj", other, "sec", "xdp", ns=pair.engine)
        done = run(MILLRACE, *ECHO, ns=pair.engine, ok=False, timeout=20)
        note(done.stderr)
        equal("lines on stderr", len(done.stderr.splitlines()), 1)
        check(done.returncode > 0, "exit status %d", done.returncode)
        check("v0" in done.stderr and "XDP" in done.stderr, "it does not say what is in the way")
        equal("XDP", pair.xdp(), "generic")


@case("an MTU that is too small: the MTU is named")
def _():
    with Pair() as pair:
        pair.set_mtu(68)
        refused(pair, *ECHO, says=["MTU", "68"])


@case("an address that the host itself has: refused, with the address")
def _():
    with Pair() as pair:
        refused(pair, "echo", "-i", "v0", "--address", NEIGHBOUR + "/24", says=[NEIGHBOUR])


@case("a port that is not a number, a file that is no directory, a missing option: refused")
def _():
    with Pair() as pair:
        refused(pair, *ECHO, "--port", "http", says=["port", "http"], status=2)
        refused(pair, *ECHO, "--port", "65536", says=["65536"], status=2)
        refused(pair, "serve", *ECHO[1:], "/dev/null", says=["/dev/null"])
        refused(pair, "serve", *ECHO[1:], "/nosuch", says=["/nosuch"])
        refused(pair, "serve", *ECHO[1:], status=2)
        refused(pair, "echo", "-i", "v0", status=2)
        refused(pair, "echo", "--address", "10.0.0.5/24", status=2)
        refused(pair, "nc", *ECHO[1:], status=2)
        refused(pair, "nc", *ECHO[1:], "example.org", "80", says=["example.org"], status=2)


@case("values out of range and unknown words: refused, with the choices")
def _():
    with Pair() as pair:
        refused(pair, "echo", "-i", "v0", "--address", "10.0.0.5", says=["10.0.0.5"], status=2)
        refused(pair, "echo", "-i", "v0", "--address", "10.0.0.5/33", says=["0.5/33"], status=2)
        refused(pair, *ECHO, "--xdp-mode", "fast", says=["native", "generic"], status=2)
        refused(pair, *ECHO, "--rx-csum", "maybe", says=["verify", "partial"], status=2)
        refused(pair, *ECHO, "--rx-ring", "1000", says=["power of two"], status=2)
        refused(pair, *ECHO, "--rate", "100", says=["100mbit"], status=2)
        refused(pair, *ECHO, "--chunk-size", "3000", says=["2048"], status=2)
        refused(pair, *ECHO, "--gateway", "here", says=["here"], status=2)
        refused(pair, *ECHO, "--max-sockets", "1048577", says=["1048576"], status=2)
        refused(pair, *ECHO, "--umem-frames", "4194305", says=["4194304"], status=2)
        refused(pair, "juggle", says=["juggle"], status=2)


@case("what is wrong with the program, its user, a profile, a file: it is named, with what to do")
def _():
    with Pair() as pair, scratch() as directory:
        profile = os.path.join(directory, "profile")
        with open(profile, "w") as f:
            f.write("spin 20\nnonsense\n")
        with_option = lambda *option: ("run", "-i", "v0", *option, "--", "true")
        for status, argv, says in (
                (127, ("run", "-i", "v0", "--", "/nonexistent"), ["/nonexistent", "No such file", "name"]),
                (126, ("run", "-i", "v0", "--", "/etc/passwd"), ["/etc/passwd", "Permission denied", "execute"]),
                (125, with_option("-i", ""), ["interface", "ip link"]),
                (125, with_option("--user", "nosuch"), ["nosuch", "getent passwd"]),
                (125, with_option("--user", "root:nosuch"), ["nosuch", "getent group"]),
                (125, with_option("--profile", "nosuch"), ["nosuch", "redis"]),
                (125, with_option("--profile", profile), ["line 2", profile, "spin 20"]),
                (125, with_option("--log", "/nosuch/log"), ["/nosuch/log", "--log"]),
                (1, ("ss", "-i", "nosuch"), ["nosuch", "ip link"]),
                (1, ("inspect", "-i", "nosuch"), ["nosuch", "ip link"]),
                (1, ("ss", "2147483647"), ["2147483647", "all"]),
                (1, ("inspect", "2147483647"), ["2147483647", "all"]),
                (2, ("ss", "1", "2", "3"), ["3"]),
                (2, ("ss", "init"), ["init"]),
                (2, ("version", "1"), ["1", "help"]),
                (2, ("help", "run", "ss"), ["ss", "help"]),
                (1, ("nc", *ECHO[1:], PEER, "9"), ["Connection refused", "listens"]),
                (1, ("nc", *ECHO[1:], "192.0.2.1", "9"), ["unreachable", "--gateway"]),
                (1, ("nc", *ECHO[1:], "-l", "192.0.2.1", "9"), ["192.0.2.1", "addresses"])):
            refused(pair, *argv, says=says, status=status)
            equal("processes that are left", run("ip", "netns", "pids", pair.engine.name).stdout, "")


@case("limits that leave no descriptors: it is told which one is to be raised")
def _():
    with Pair() as pair:
        for limit in (4, 6, 8, 10, 12, 16):
            refused(pair, "run", "-i", "v0", "--", "true", wrap=("prlimit", "--nofile=%d" % limit),
                    says=["Too many open files", r"raise the (hard )?limit of open files"], status=125)


@case("an option that does not exist: it is named, with the way to the right ones")
def _():
    with Pair() as pair:
        done = run(MILLRACE, *ECHO, "--nosuch", ns=pair.engine, ok=False)
        equal("exit status", done.returncode, 2)
        lines = done.stderr.splitlines()  # two, as every GNU program says it
        check(len(lines) == 2 and "--nosuch" in lines[0] and "--help" in lines[1],
              "stderr is:\n%s", done.stderr)


@case("a capture file that cannot be written: it is named")
def _():
    with Pair() as pair:
        refused(pair, *ECHO, "--pcap", "/nosuch/dir/x.pcapng", says=["/nosuch/dir/x.pcapng"])


@case("UMEM beyond all limits: refused")
def _():
    with Pair() as pair:
        refused(pair, *ECHO, "--umem-frames", "4000000000")


@case("without the kernel's BTF it works all the same")
def _():
    need("unshare")
    with Pair() as pair, scratch() as directory:
        empty = os.path.join(directory, "empty")
        os.mkdir(empty)
        hide = "mount --bind %s /sys/kernel/btf && exec \"$@\"" % empty
        with echo(pair, wrap=("unshare", "-m", "sh", "-c", hide, "sh")) as server, \
                pair.peer.connect((ENGINE, PORT)) as sock:
            check(not os.path.exists("/proc/%d/root/sys/kernel/btf/vmlinux" % server.pid),
                  "the BTF was not hidden")
            sock.sendall(b"hello")
            equal("echo", sock.recv(100), b"hello")


main()
