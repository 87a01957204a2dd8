#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_run_cpython.py - CPython's own tests of sockets under `millrace run`, each test by itself compared with how it
ends without: what fails under it and not without is ours.

Each suite runs twice, in two ways. As it is: it speaks over loopback, which is the kernel's, but every listener on
any address is the stack's, and so are the calls. And mirrored (mirrored/sitecustomize.py, mirror.bpf.c): what it
says to itself goes to the peer and comes back, so that both ends of each TCP connection are on the stack.

With LONG=1 in the environment (and TEST_TIMEOUT=3600 for tests/run) all of test_socket, test_selectors, test_ssl
and test_asyncio, which takes a quarter of an hour; else a selection of each, mirrored. VSOCK is left out: its tests hang on this kernel with and without us.
"""
import collections
import xml.etree.ElementTree

from lib import *
from runlib import *

PYTHON = "/usr/bin/python3"  # whose tests libpython3.N-testsuite has

SUITES = {  # name: tests of the short form
    "test_selectors": ["*EpollSelector*"],
    "test_socket": ["*BasicTCPTest*", "*NetworkConnection*", "*NonBlockingTCPTests*", "*SendmsgStreamTests*",
                    "*RecvmsgTCPTest*", "*SendfileUsingSendfile*"],
    "test_ssl": ["*ThreadedTests.test_asyncore_server", "*ThreadedTests.test_recv_send",
                 "*ThreadedTests.test_starttls", "*ThreadedTests.test_sendfile"],
    "test_asyncio": ["*test_sock_lowlevel*EPoll*"],
}


def results(path):
    """{test: how it ended}"""
    found = {}
    for test in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        kinds = {child.tag for child in test}
        ended = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "ok"
        found[test.get("name")] = ended
    return found


def outcome(pair, directory, suite, shim, env):
    path = os.path.join(directory, "%s.xml" % shim)
    argv = ["env", *env, PYTHON, "-m", "test", "--timeout", "900" if LONG else "120", "-i", "*VSOCK*", "--junit-xml", path]
    if not LONG:
        for pattern in SUITES[suite]:
            argv += ["-m", pattern]
    argv.append(suite)
    done = run(*(shared(*argv, options=("--stats",)) if shim else argv), ns=pair.engine, ok=False, timeout=900,
               cwd=directory)
    check(os.path.exists(path), "%s did not end: %s", suite, done.stdout[-2000:] + done.stderr[-2000:])
    if shim and env and suite != "test_selectors":
        check("passive_opens" in done.stderr, "nothing came over the wire: %s", done.stderr)
    found = results(path)
    os.unlink(path)
    return found


def compare(pair, suite, env=()):
    if not os.path.exists(PYTHON):
        raise Skip("there is no %s" % PYTHON)
    if run(PYTHON, "-c", "import test.test_socket", ok=False).returncode:
        raise Skip("libpython3.N-testsuite is not installed")
    with scratch() as directory:
        without, under_it = [outcome(pair, directory, suite, shim, env) for shim in (False, True)]
    for what, found in (("without", without), ("under it", under_it)):
        note("%s, %s: %s" % (suite, what, ", ".join(
            "%d %s" % (n, kind) for kind, n in sorted(collections.Counter(found.values()).items()))))
    check(without, "there are no tests")
    for test in without:
        if under_it.get(test) != without[test]:
            note("%s: %s without, %s under it" % (test, without[test], under_it.get(test)))
    # One test skips itself when a refusal comes later than it can wait for.
    worse = [t for t in without if without[t] != "failed" and under_it.get(t, "failed") == "failed"]
    check(not worse, "%d tests fail only under it", len(worse))


@contextlib.contextmanager
def mirror(pair):
    run("ip", "link", "set", "v1", "xdpgeneric", "obj", os.path.join(BUILD, "tests/e2e/mirror.bpf.o"), "sec",
        "xdp.frags", ns=pair.peer)
    yield ["PYTHONPATH=" + os.path.join(os.path.dirname(os.path.abspath(__file__)), "mirrored"),
           "MIRROR_OWN=" + SHARED, "MIRROR_PEER=" + PEER, "MIRROR_OWN6=" + SHARED6, "MIRROR_PEER6=" + PEER6]


def register(suite):
    if LONG:
        @case("CPython's %s ends as it does without, over loopback" % suite, timeout=1800)
        def _loopback():
            with shared_pair() as pair:
                compare(pair, suite)

    @case("CPython's %s ends as it does without, over the wire" % suite, timeout=1800)
    def _wire():
        with shared_pair() as pair, mirror(pair) as env:
            compare(pair, suite, env)


for name in SUITES:
    register(name)

main()
