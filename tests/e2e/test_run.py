#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_run.py - `millrace run` as a launcher: whose process it is, what it says and how it ends. What programs do
with their sockets is tested elsewhere.
"""
import errno
import time

from lib import *
from runlib import SHARED, in_use, shared, shared_server, sockets

PRELOAD = os.path.join(BUILD, "libmillrace-preload.so")


def millrace_run(pair, *argv, options=(), before=(), timeout=20):
    """A finished command: its status and what it wrote. Returns only when the keeper has ended, too."""
    if not os.path.exists(PRELOAD):
        raise Skip("there is no %s" % os.path.basename(PRELOAD))
    argv = [*before, MILLRACE, "run", "-i", "v0", "-a", "%s/%d" % (ENGINE, PREFIX), *options, *argv]
    return run(*argv, ns=pair.engine, ok=False, timeout=timeout)


def status(pair, wanted, *argv, **kwargs):
    done = millrace_run(pair, *argv, **kwargs)
    equal("status of %s" % " ".join(argv), done.returncode, wanted)
    return done


@case("the program is the command's own process, and its status and output are the command's")
def _():
    with Pair() as pair:
        done = status(pair, 7, "--", "sh", "-c", "echo $PPID; echo oops >&2; exit 7")
        equal("its parent", int(done.stdout), os.getpid())
        check("oops" in done.stderr, "stderr: %s", done.stderr)
        status(pair, -15, "sh", "-c", "kill -TERM $$")
        equal("XDP afterwards", pair.xdp(), None)


@case("the library that goes into every program needs the C library only")
def _():
    need("readelf")
    needed = re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", PRELOAD).stdout)
    check(all(re.match(r"libc\.|ld-linux|lib.*san", lib) for lib in needed), "it needs %s", needed)


@case("a program that is not there, or no program: 127 and 126; a wrong option: 125, with one sentence")
def _():
    with Pair() as pair:
        for wanted, argv, options in ((127, ("/nonexistent",), ()), (126, ("/etc/passwd",), ()),
                                      (125, ("true",), ("--frobnicate",)), (125, (), ()),
                                      (125, ("true",), ("--user", "no-such-user")),
                                      (125, ("true",), ("--profile", "no-such-profile")),
                                      (125, ("true",), ("-i", "no-such-interface"))):
            done = status(pair, wanted, *argv, options=options)
            check(done.stderr.startswith("millrace run: "), "stderr: %s", done.stderr)
            equal("XDP afterwards", pair.xdp(), None)


@case("without the capabilities it says exactly which ones are missing")
def _():
    with Pair() as pair:
        done = status(pair, 125, "true",
                      before=("setpriv", "--bounding-set", "-bpf,-net_admin,-sys_admin,-perfmon"))
        check("lacks CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN" in done.stderr, "stderr: %s", done.stderr)


@case("--user: the program has that user's numbers and no capability")
def _():
    with Pair() as pair:
        done = status(pair, 0, "sh", "-c", "id -u; id -g; grep -E 'Cap(Prm|Eff|Amb)' /proc/self/status",
                      options=("--user", "nobody"))
        lines = done.stdout.split()
        equal("user", lines[0], "65534")
        check(all(int(cap, 16) == 0 for cap in lines[3::2]), "capabilities: %s", done.stdout)


@case("the keeper stays as long as a process that the program has started, and no longer")
def _():
    with Pair() as pair:
        done = millrace_run(pair, "sh", "-c", "sleep 1.5 >/dev/null 2>&1 & exit 3", timeout=10)
        equal("status", done.returncode, 3)
        check(pair.xdp(), "the keeper has ended")
        wait_for("the keeper's end", lambda: not pair.xdp())


DAEMON = """if 1:
    import os, socket, sys, time
    s = socket.create_server(("0.0.0.0", 7000))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 1) if len(sys.argv) > 1 else None
"""


@case("who reads what a command writes sees the end when it ends, though a process that it has started goes on")
def _():
    daemon = DAEMON + """
    if not os.fork():
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        while os.path.exists(os.environ["ALIVE"]):
            time.sleep(0.05)
    """
    with Pair() as pair, scratch() as directory:
        alive = os.path.join(directory, "alive")
        with open(alive, "w"):
            pass
        try:
            done = millrace_run(pair, "env", "ALIVE=" + alive, "python3", "-c", daemon, timeout=10)
            equal("status", done.returncode, 0)
            check(pair.xdp(), "the keeper has ended")
        finally:
            os.unlink(alive)
        wait_for("the keeper's end", lambda: not pair.xdp())


@case("what a program has to be told of comes by the keeper, with the program's name")
def _():
    with Pair() as pair:
        done = millrace_run(pair, "python3", "-c", DAEMON.replace("s.setsockopt", "try: s.setsockopt").replace(
            "else None", "else None\n    except OSError: pass"), "mark")
        check(re.search(r"millrace: python3\[\d+\]: option 36 of level 1", done.stderr), "stderr: %s", done.stderr)


STRANGER = """if 1:
    import os, socket, struct, sys, time
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
    (name,) = {line.split("@")[1].strip() for line in open("/proc/net/unix") if "@millrace/" in line}
    guests = []
    def guest():
        guests.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        guests[-1].connect("\\0" + name)
        guests[-1].settimeout(10)
        return guests[-1]
    def ask(sock, op, arg=0, life=0):
        sock.send(struct.pack("IIQQ16s", op, arg, 0, life, b"stranger"))
"""
JOIN, HELLO, EVENT = 1, 2, 4
STRANGERS = {
    "takes the place of a process": STRANGER + """
    for life in range(1, 6):
        for slot in range(5):
            sock = guest()
            ask(sock, %d, slot, life), ask(sock, %d, 1)
            assert not sock.recvmsg(100, 100)[1], "it was given a descriptor"
    """ % (HELLO, EVENT),
    "does not read what it is answered": STRANGER + """
    sock = guest()
    for i in range(2000):
        ask(sock, %d)
    """ % JOIN,
    "comes again and again": STRANGER + """
    for i in range(400):
        guest()
    """,
}


@case("who belongs to another user can neither take a process's place nor keep the keeper from its work")
def _():
    serve = DAEMON.replace("7000", str(PORT)) + """
    while True:
        s.accept()[0].sendall(b"still here")
    """
    with Pair() as pair:
        for what, stranger in STRANGERS.items():
            command = ["prlimit", "--nofile=350", MILLRACE, "run", "-i", "v0", "-a", "%s/%d" % (ENGINE, PREFIX),
                       "python3", "-c", serve]
            with Process(command, ns=pair.engine, name="server") as server:
                def answer():
                    with contextlib.suppress(OSError), pair.peer.connect((ENGINE, PORT), timeout=2) as sock:
                        return sock.recv(100)
                wait_for("the server", answer, timeout=10)
                script = stranger.rstrip() + "\n    print('done', flush=True)\n    time.sleep(60)\n"
                with Process(["python3", "-c", script], ns=pair.engine, name="who " + what) as who:
                    wait_for("who " + what, lambda: b"done" in who.stdout() and who.alive(), timeout=20)
                    equal("an answer beside one who " + what, answer(), b"still here")
                    check("python3" in run(MILLRACE, "ss", ns=pair.engine).stdout, "ss beside one who %s", what)
                equal("an answer after one who " + what, answer(), b"still here")
                check(server.alive(), "the server has ended")


LATER = """if 1:
    import os, socket, subprocess, sys, time
    client = "import socket, time; s = socket.create_connection(('%s', 7000)); time.sleep(1000)"
    s = socket.create_connection(("%s", 7000))
    print("joined", flush=True)
    while not os.path.exists(sys.argv[1]):
        time.sleep(0.02)
    subprocess.run([sys.executable, "-c", client])
""" % (PEER, PEER)


def keeper_of(pair):
    for pid in run("ip", "netns", "pids", pair.engine.name).stdout.split():
        with contextlib.suppress(OSError), open("/proc/%s/comm" % pid) as f:
            if f.read().strip() in ("millrace-keeper", "millrace-ending"):
                return pid
    raise Failure("there is no keeper")


# A server that goes on asking its sockets after the stack is over and the keeper is gone.
ASKS_ON = """if 1:
    import os, socket, sys, time
    def ask(call):
        try:
            print(call())
        except OSError as e:
            print(e.strerror)
    s = socket.create_server(("", 7000))
    c = s.accept()[0]
    print("connected")
    while not os.path.exists(sys.argv[1]):
        time.sleep(0.02)
    for call in (lambda: c.recv(1), s.accept, s.accept):
        ask(call)
    s.settimeout(0)
    for sock in (c, s):
        sock.getsockname()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 10000)
        sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        sock.close()
"""


def keepers(pair):
    found = []
    for pid in run("ip", "netns", "pids", pair.engine.name).stdout.split():
        with contextlib.suppress(OSError), open("/proc/%s/comm" % pid) as f:
            if f.read() == "millrace-keeper\n":
                found.append(int(pid))
    return found


def stack_ends(end, said):
    with Pair() as pair, scratch() as directory:
        gone = os.path.join(directory, "gone")
        with Process(shared("python3", "-u", "-c", ASKS_ON, gone), ns=pair.engine) as server:
            wait_for("the server", lambda: any(e["accelerated"] for e in sockets(pair)), timeout=15)
            with pair.peer.connect((SHARED, 7000)):
                wait_for("its connection", server.stdout)
                (keeper,) = keepers(pair)
                end(pair, keeper)
                wait_for("the keeper's end", lambda: not keepers(pair))
                open(gone, "w").close()
                equal("exit status", server.wait(10), 0)
            equal("its answers", server.stdout().decode().splitlines()[1:], ["Network is down"] * 3)
            check(server.stderr().count(said) == 1, "no clear sentence: %s", server.stderr())


case("the interface is deleted: calls fail as those of a network that is down, and that is said once")(
    lambda: stack_ends(lambda pair, _: run("ip", "link", "del", "v0", ns=pair.engine), "the interface v0 is gone"))
case("the keeper is told to end: calls fail as those of a network that is down, and that is said once")(
    lambda: stack_ends(lambda _, keeper: os.kill(keeper, signal.SIGTERM), "told to end while programs use v0"))


# Joins the stack by its first listen(), when the file is there.
FIRST_LISTEN = """if 1:
    import os, socket, sys, time
    sock = socket.socket()
    sock.bind(("%s", %d))
    print("bound", flush=True)
    while not os.path.exists(sys.argv[1]):
        time.sleep(0.01)
    sock.listen()
    print("listens", flush=True)
    there = sock.accept()[0]
    there.sendall(b"here")
    time.sleep(20)
""" % (SHARED, PORT)


@case("a program joins the stack before it listens: nobody gets through to the kernel's socket meanwhile")
def _():
    with Pair() as pair, scratch() as tmp:
        go = os.path.join(tmp, "go")
        with Process(shared("python3", "-c", FIRST_LISTEN, go), ns=pair.engine) as server:
            wait_for("the program", lambda: b"bound" in server.stdout(), timeout=15)
            keeper = int(keeper_of(pair))
            os.kill(keeper, signal.SIGSTOP)  # nobody can join
            try:
                make_file(go, 1)
                for _ in range(20):
                    try:
                        pair.peer.connect((SHARED, PORT), timeout=1).close()
                        raise Failure("connected to a socket of the kernel's")
                    except ConnectionRefusedError:
                        time.sleep(0.02)
                check(b"listens" not in server.stdout(), "it listens, and the keeper stands still")
            finally:
                os.kill(keeper, signal.SIGCONT)
            wait_for("listen()", lambda: b"listens" in server.stdout(), timeout=15)
            with pair.peer.connect((SHARED, PORT)) as sock:
                equal("what it sends", sock.recv(10), b"here")
                check(any(e["state"] == "ESTABLISHED" and e["accelerated"] for e in sockets(pair)),
                      "the connection is not the stack's: %s", sockets(pair))


@case("a keeper that may open nothing any more says so once, and lets in who waits as soon as it may")
def _():
    with Pair() as pair, pair.peer.listen((PEER, 7000)), scratch() as directory:
        go = os.path.join(directory, "go")
        argv = [MILLRACE, "run", "-i", "v0", "-a", "%s/%d" % (ENGINE, PREFIX), "python3", "-c", LATER, go]
        with Process(argv, ns=pair.engine, name="program") as program:
            wait_for("the first process", lambda: b"joined" in program.stdout(), timeout=10)
            keeper, said = keeper_of(pair), "the keeper may have no more files"
            run("prlimit", "--pid", keeper, "--nofile=6:4096")  # fewer than it has
            with open(go, "w"):
                pass
            wait_for("its word", lambda: said in program.stderr(), timeout=10)
            time.sleep(0.5)  # it has had the time to say it again and again
            run("prlimit", "--pid", keeper, "--nofile=4096")
            wait_for("the second process", lambda: run(MILLRACE, "ss", ns=pair.engine).stdout.count("ESTAB") == 2,
                     timeout=10)
            equal("times that it was said", program.stderr().count(said), 1)


LEAVES_MUCH = """if 1:
    import socket
    s = socket.create_connection(("%s", 7000))
    s.setblocking(False)
    try:
        while True: s.send(bytes(65536))
    except BlockingIOError: pass
""" % PEER


@case("a program is started anew while what the last one left unsent is still tried for")
def _():
    with Pair() as pair, pair.peer.listen((PEER, 7000)):
        argv = [MILLRACE, "run", "-i", "v0", "-a", "%s/%d" % (ENGINE, PREFIX), "python3", "-c", LEAVES_MUCH]
        with Process(argv, ns=pair.engine, name="program") as program:
            equal("its status", program.wait(10), 0)
            keeper_of(pair)  # stays for what the peer does not read
            status(pair, 0, "true")


NOBODY = ("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups")

SAYS_WHICH = """if 1:
    import os, socket, sys
    s = socket.create_server(("0.0.0.0", int(sys.argv[1])))
    while True:
        c, _ = s.accept()
        c.sendall(b"%s %d" % (sys.argv[1].encode(), os.getuid()))
        c.close()
"""


def listeners(pair):
    """On the one stack there is."""
    in_use(pair)
    return sum(e["state"] == "LISTEN" and e["accelerated"] for e in sockets(pair))


def answer_of(pair, port):
    with contextlib.closing(pair.peer.connect((SHARED, port), timeout=5)) as sock:
        return sock.recv(64).decode()


@case("a second run joins the stack that the interface has: both serve, and either may end first")
def _():
    with Pair() as pair:
        servers = [shared_server(pair, "python3", "-c", SAYS_WHICH, str(port), port=port) for port in (7000, 7001, 7002)]
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(servers[0])
            second = stack.enter_context(servers[1])
            keeper = keeper_of(pair)
            equal("listeners on the one stack", listeners(pair), 2)
            equal("what the second says", second.stderr(), "")
            first.stop()
            for _ in range(20):
                equal("the answer of the second", answer_of(pair, 7001), "7001 0")
            third = stack.enter_context(servers[2])
            equal("the keeper", keeper_of(pair), keeper)
            second.stop()
            equal("the answer of the third", answer_of(pair, 7002), "7002 0")
            third.stop()
            wait_for("the keeper's end", lambda: not pair.xdp())


@case("a second run needs no capability where the first was made for its user; another user is refused with what to do")
def _():
    with Pair() as pair, shared_server(pair, "python3", "-c", SAYS_WHICH, "7000", port=7000, user="nobody"):
        with Process([*NOBODY, *shared("python3", "-c", SAYS_WHICH, "7001")], ns=pair.engine, name="second") as second:
            wait_for("the second's listener", lambda: listeners(pair) == 2)
            equal("its answer", answer_of(pair, 7001), "7001 65534")
            done = run(*shared("true", user="daemon"), ns=pair.engine, ok=False)
            equal("status for another user", done.returncode, 125)
            check("give --user that user" in done.stderr, "stderr: %s", done.stderr)
            done = run(*shared("true"), ns=pair.engine, ok=False)
            equal("status for root's own program", done.returncode, 125)
            done = run("setpriv", "--reuid", "daemon", "--clear-groups", *shared("true"), ns=pair.engine, ok=False)
            equal("status of another user's command", done.returncode, 125)
            check(second.alive(), "the second has ended")


@case("a second run is told that its options of the stack are ignored, and is silent without any")
def _():
    with Pair() as pair, Process(shared("cat"), ns=pair.engine, stdin=subprocess.PIPE, name="first") as first:
        wait_for("XDP", pair.xdp)
        done = run(*shared("true", options=("--spin", "5")), ns=pair.engine)
        check("v0 has a stack already" in done.stderr and "ignored" in done.stderr, "stderr: %s", done.stderr)
        check("ignored" in run(*shared("true", options=("--ignore-firewall",)), ns=pair.engine).stderr, "not told")
        equal("stderr without such options", run(*shared("true"), ns=pair.engine).stderr, "")
        first.proc.stdin.close()
        equal("the first one's status", first.wait(5), 0)


@case("runs that are started at the same moment share one stack, and none waits for long")
def _():
    ports = range(7000, 7006)
    with Pair() as pair, contextlib.ExitStack() as stack:
        all = [stack.enter_context(Process(shared("python3", "-c", SAYS_WHICH, str(port)), ns=pair.engine,
                                           name="run %d" % port)) for port in ports]
        wait_for("the listeners", lambda: pair.xdp() and listeners(pair) == len(ports), timeout=20)
        for process, port in zip(all, ports):
            equal("the answer", answer_of(pair, port), "%d 0" % port)
            equal("what it says", process.stderr(), "")
        for process in all:  # one that is killed inside the stack makes another say so
            process.stop()
        wait_for("the keeper's end", lambda: not pair.xdp())


FALSE_KEEPERS = """if 1:
    import socket, sys
    all = []
    for i in range(100):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.bind("\\0millrace/v0/%d-false" % i)
        s.listen(0)
        all.append(s)
        while i % 2:
            c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            c.setblocking(False)
            all.append(c)
            try:
                c.connect(s.getsockname())
            except BlockingIOError:
                break
    print("ready", flush=True)
    sys.stdin.read()
"""


@case("sockets of another user that are named as keepers neither delay nor keep from a stack who looks for one")
def _():
    with Pair() as pair, Process([*NOBODY, "python3", "-c", FALSE_KEEPERS], ns=pair.engine, stdin=subprocess.PIPE,
                                 name="false keepers") as false:
        wait_for("their names", lambda: b"ready" in false.stdout())
        equal("sockets", sockets(pair), [])
        with shared_server(pair, "python3", "-c", SAYS_WHICH, "7000", port=7000), \
             shared_server(pair, "python3", "-c", SAYS_WHICH, "7001", port=7001):
            equal("listeners on the one stack", listeners(pair), 2)


@case("a second run in a PID namespace that the keeper cannot see is refused")
def _():
    need("unshare")
    with Pair() as pair, Process(["unshare", "--pid", "--fork", "--kill-child", *shared("cat")], ns=pair.engine,
                                 stdin=subprocess.PIPE, name="first") as first:
        wait_for("XDP", pair.xdp)
        done = run(*shared("true"), ns=pair.engine, ok=False, timeout=20)
        equal("its status", done.returncode, 125)
        check("v0 is in use" in done.stderr, "stderr: %s", done.stderr)
        first.proc.stdin.close()
        equal("the first one's status", first.wait(5), 0)


@case("a run after that of another user waits for its keeper, which still tries to send what was left")
def _():
    with Pair() as pair, pair.peer.socket() as reads_nothing:
        reads_nothing.bind((PEER, 7000))
        reads_nothing.listen()
        run(*shared("python3", "-c", LEAVES_MUCH, user="nobody"), ns=pair.engine)
        check(pair.xdp(), "the keeper has ended: nothing was left to be sent")
        equal("stderr", run(*shared("true"), ns=pair.engine, timeout=20).stderr, "")


@case("a run within a run within a run joins the stack of the outermost one")
def _():
    with Pair() as pair:
        command = ["sh", "-c", "exit 7"]
        for _ in range(5):
            command = shared(*command)
        done = run(*command, ns=pair.engine, ok=False, timeout=20)
        equal("its status", (done.returncode, done.stderr), (7, ""))
        wait_for("the keeper's end", lambda: not pair.xdp())


@case("a second run that cannot join is told whose the interface is and what to do, and the first one goes on")
def _():
    with Pair() as pair, Process(shared("cat"), ns=pair.engine, stdin=subprocess.PIPE, name="first") as first:
        wait_for("XDP", pair.xdp)
        done = millrace_run(pair, "true")  # with an address of its own
        note(done.stderr)
        equal("its status", done.returncode, 125)
        check("run -i v0 -- cat" in done.stderr and keeper_of(pair) in done.stderr, "stderr: %s", done.stderr)
        os.kill(int(keeper_of(pair)), signal.SIGSTOP)
        try:
            done = run(*shared("true"), ns=pair.engine, ok=False, timeout=20)
        finally:
            os.kill(int(keeper_of(pair)), signal.SIGCONT)
        equal("status while the keeper is stopped", done.returncode, 125)
        check("run -i v0 -- cat" in done.stderr and keeper_of(pair) in done.stderr, "stderr: %s", done.stderr)
        check(first.alive() and pair.xdp(), "the first one has ended")
        first.proc.stdin.close()
        equal("the first one's status", first.wait(5), 0)


def enslave(pair):
    """v0 becomes a port of br0, which gets the address."""
    for argv in ("addr flush dev v0", "link add br0 type bridge", "link set v0 master br0", "link set br0 up",
                 "addr add %s/%d dev br0" % (SHARED, PREFIX)):
        run("ip", *argv.split(), ns=pair.engine)


@case("a port of a bridge that has no address is refused with the bridge's name, and a run on the bridge serves")
def _():
    with Pair(v6=True) as pair:  # the port has a link-local address
        enslave(pair)
        done = run(*shared("true"), ns=pair.engine, ok=False)
        note(done.stderr)
        equal("status", done.returncode, 125)
        check("bridge br0" in done.stderr and "-i br0" in done.stderr, "stderr: %s", done.stderr)
        with Process([MILLRACE, "run", "-i", "br0", "--", "python3", "-c", BRIDGE_SERVER], ns=pair.engine, name="server"):
            wait_for("the listener", lambda: any(s["state"] == "LISTEN" and s["accelerated"] for s in sockets(pair)))
            for _ in range(3):
                with pair.peer.connect((SHARED, 7000)) as sock:
                    sock.sendall(b"over the bridge")
                    equal("the answer", sock.recv(100), b"over the bridge")
            connections = [s for s in sockets(pair) if s["local"].startswith(SHARED + ":7000")]
            check(connections and all(s["accelerated"] for s in connections), "sockets: %s", connections)


BRIDGE_SERVER = """if 1:
    import socket
    server = socket.create_server(("0.0.0.0", 7000))
    kept = []
    while True:
        kept.append(server.accept()[0])
        kept[-1].sendall(kept[-1].recv(100))
"""


@case("an interface that has no address, or becomes a bridge's port while a program runs, is told of")
def _():
    with Pair() as pair:
        with Process(shared("cat"), ns=pair.engine, stdin=subprocess.PIPE, name="program") as program:
            wait_for("XDP", pair.xdp)
            enslave(pair)
            wait_for("a word on the addresses", lambda: "v0 has no address" in program.stderr())
            wait_for("a word on the bridge", lambda: "v0 has become part of br0" in program.stderr())
            run("ip", "link", "set", "v0", "nomaster", ns=pair.engine)
            wait_for("another word", lambda: "part of no other" in program.stderr())
            program.proc.stdin.close()
            equal("status", program.wait(5), 0)
        done = run(*shared("true"), ns=pair.engine)
        check("v0 has no address" in done.stderr and "ip addr add" in done.stderr, "stderr: %s", done.stderr)


def detach(pair):
    """Detach the XDP program from v0 by force, as anybody with the privilege can."""
    need("bpftool")
    program = json.loads(run("ip", "-j", "-d", "link", "show", "v0", ns=pair.engine).stdout)[0]["xdp"]["prog"]["id"]
    links = json.loads(run("bpftool", "-j", "link").stdout)
    (link,) = [e["id"] for e in links if e.get("prog_id") == program]
    run("bpftool", "link", "detach", "id", link, ns=pair.engine)


@case("an XDP program that somebody detaches is attached again, and that is told")
def _():
    with Pair() as pair:
        with Process(shared("python3", "-c", BRIDGE_SERVER), ns=pair.engine, name="server") as server:
            wait_for("the listener", lambda: any(s["state"] == "LISTEN" and s["accelerated"] for s in sockets(pair)))
            with pair.peer.connect((SHARED, 7000)) as quiet:
                detach(pair)
                wait_for("XDP", pair.xdp)
                wait_for("a word on it", lambda: "attached again" in server.stderr())
                quiet.sendall(b"was quiet meanwhile")
                equal("the answer", quiet.recv(100), b"was quiet meanwhile")
            with pair.peer.connect((SHARED, 7000)) as sock:
                sock.sendall(b"anew")
                equal("the answer", sock.recv(100), b"anew")
                check(all(s["accelerated"] for s in sockets(pair)), "sockets: %s", sockets(pair))
        with echo(pair) as server:  # which has nobody beside it
            detach(pair)
            wait_for("XDP", pair.xdp)
            wait_for("a word on it", lambda: "attached again" in server.stderr())


@case("an XDP program that cannot be attached again is told of once, and attached as soon as it can be")
def _():
    other = os.path.join(BUILD, "tests/e2e/pass.bpf.o")
    check(os.path.exists(other), "%s is not built: make tests", other)
    with Pair() as pair:
        with Process(shared("cat"), ns=pair.engine, stdin=subprocess.PIPE, name="program") as program:
            wait_for("XDP", pair.xdp)

            def replaced():  # unless it is attached again sooner
                detach(pair)
                return run("ip", "link", "set", "v0", "xdpgeneric", "obj", other, "sec", "xdp", ns=pair.engine,
                           ok=False).returncode == 0
            wait_for("another program on v0", replaced)
            wait_for("a word on it", lambda: "cannot be attached again" in program.stderr())
            time.sleep(2.2)  # two more looks
            equal("times that it is told", program.stderr().count("cannot be attached again"), 1)
            run("ip", "link", "set", "v0", "xdpgeneric", "off", ns=pair.engine)
            wait_for("XDP", pair.xdp)
            wait_for("a word on it", lambda: "it is attached again" in program.stderr())
            program.proc.stdin.close()
            equal("status", program.wait(5), 0)


@case("what a program says of itself moves no terminal")
def _():
    with Pair() as pair:
        name = "\x1b[2J\x7f\nmillrace: x"
        done = millrace_run(pair, "python3", "-c", "import os, sys; os.execv(sys.argv[1], sys.argv[2:])",
                            "/usr/bin/python3", name, "-c", DAEMON.replace("s.setsockopt", "try: s.setsockopt").replace(
                                "else None", "else None\n    except OSError: pass"), "mark")
        check(re.search(r"\[\d+\]: option 36 of level 1", done.stderr), "stderr: %s", done.stderr)
        check(not re.search(r"[\x00-\x09\x0b-\x1f\x7f]|\nmillrace: x", done.stderr), "stderr: %r", done.stderr)


@case("what is executed with sockets of the stack is told of it, whatever its environment; else it is left alone")
def _():
    execute = DAEMON + """
    os.set_inheritable(s.fileno(), sys.argv[2] == "open")
    os.execve("/usr/bin/env", ["env"], {"OWN": "1", "LD_PRELOAD": ""})
    """
    with Pair() as pair:
        for how, wanted in ("open", {"OWN", "LD_PRELOAD", "MILLRACE_STACK", "MILLRACE_LIFELINE"}), (
                "closed", {"OWN", "LD_PRELOAD"}):
            done = status(pair, 0, "python3", "-c", execute.replace("if len(sys.argv) > 1", "if False"), "x", how)
            equal("its environment", {line.partition("=")[0] for line in done.stdout.split()}, wanted)
            equal("told that it is left out", "env is executed without MILLRACE_STACK" in done.stderr, how == "closed")


@case("a socket is inherited through exec where there is no /proc, too")
def _():
    need("unshare")
    serve = """if 1:
        import os, socket
        assert not os.path.exists("/proc/self")
        socket.socket(fileno=int(os.environ["FD"])).accept()[0].sendall(b"from there")
    """
    execute = DAEMON.replace("7000", str(PORT)) + """
    os.set_inheritable(s.fileno(), True)
    os.environ["FD"] = str(s.fileno())
    os.execvp("unshare", ["unshare", "-m", "sh", "-c", "umount -l /proc; exec python3 -c \\"$0\\"", sys.argv[2]])
    """
    with Pair() as pair:
        command = [MILLRACE, "run", "-i", "v0", "-a", "%s/%d" % (ENGINE, PREFIX), "python3", "-c",
                   execute.replace("if len(sys.argv) > 1", "if False"), "x", serve]
        with Process(command, ns=pair.engine, name="server") as server:
            def answer():
                with contextlib.suppress(ConnectionError), pair.peer.connect((ENGINE, PORT), timeout=15) as sock:
                    return sock.recv(100)
            equal("its answer", wait_for("the server", answer, timeout=15), b"from there")
            equal("its status", server.wait(10), 0)


@case("a descriptor of the program's is its own, whatever number the environment tells of the lifeline")
def _():
    with Pair() as pair:
        status(pair, 0, "sh", "-c", "exec 9</dev/null; MILLRACE_LIFELINE=9:${MILLRACE_LIFELINE#*:} exec python3 -c "
                                    "'import os; os.close(9)'")


@case("children that are forked while a thread joins the stack can join it, too")
def _():
    program = """if 1:
        import os, signal, socket, threading, time
        def use():
            with socket.socket() as s:
                s.connect_ex(("%s", 9))
        begin = threading.Barrier(2)
        thread = threading.Thread(target=lambda: (begin.wait(), use()))
        thread.start()
        begin.wait()
        time.sleep(0.0005)
        children = []
        for i in range(6):
            children.append(os.fork())
            if not children[-1]:
                signal.alarm(10)
                use()
                os._exit(0)
            time.sleep(0.0007)
        thread.join()
        print(*(os.waitpid(pid, 0)[1] for pid in children))
    """ % PEER
    with Pair() as pair:
        for _ in range(3):
            done = status(pair, 0, "python3", "-c", program, timeout=30)
            equal("how the children ended", done.stdout.split(), ["0"] * 6)


@case("a program that may have too few descriptors for the stack is told so, and has the kernel's sockets")
def _():
    with Pair() as pair:
        connect = "import socket; s = socket.socket(); print(s.connect_ex(('%s', 9)))" % PEER
        for limit, told in ((8, True), (64, False)):
            done = status(pair, 0, "sh", "-c", "ulimit -n %d; exec python3 -c \"%s\"" % (limit, connect))
            equal("connect", done.stdout.split(), [str(errno.ECONNREFUSED)])
            equal("told with %d" % limit, "too few descriptors (ulimit -n)" in done.stderr, told)


@case("an epoll instance that programs would inherit is told of once, and one that closes itself is not")
def _():
    program = "import os, select, socket; s = socket.create_connection(('%s', 7000)); e = select.epoll(); " \
              "e.register(s, select.EPOLLIN); os.set_inheritable(e.fileno(), %s); " \
              "os.spawnv(os.P_WAIT, '/bin/true', ['true']); os.execv('/bin/true', ['true'])"
    with Pair() as pair, pair.peer.listen((PEER, 7000)):
        for inherits in (True, False):
            done = status(pair, 0, "python3", "-c", program % (PEER, inherits))
            equal("told", done.stderr.count("inherits epoll instance"), int(inherits))


@case("options come from the command line, then the environment, then the profile")
def _():
    with Pair() as pair, scratch() as directory:
        profile = os.path.join(directory, "p")
        with open(profile, "w") as f:
            f.write("rx-ring 100 # not a power of two\n")
        done = status(pair, 125, "true", options=("--profile", profile))
        check('--rx-ring "100"' in done.stderr, "stderr: %s", done.stderr)
        with open(profile, "w") as f:
            f.write("rx-ring 64\nstats\n")
        done = status(pair, 0, "true", options=("--profile", profile))
        check("engine" in done.stderr, "no counters: %s", done.stderr)
        for name in ("redis", "nginx", "memcached", "haproxy", "iperf3"):
            status(pair, 0, "true", options=("--profile", name))


@case("a program that is linked statically is told of, and not run with --strict")
def _():
    with Pair() as pair, scratch() as directory:
        source, program = os.path.join(directory, "p.c"), os.path.join(directory, "p")
        with open(source, "w") as f:
            f.write("int main(void) { return 3; }\n")
        need("gcc")
        run("gcc", "-static", "-o", program, source, timeout=30)
        done = status(pair, 3, program)
        check("is linked statically" in done.stderr, "stderr: %s", done.stderr)
        status(pair, 126, program, options=("--strict",))


@case("a program that is more than its user may do is told of, and not run with --strict")
def _():
    need("setcap")
    with Pair() as pair, scratch() as directory:
        os.chmod(directory, 0o755)
        program = shutil.copy("/bin/true", os.path.join(directory, "p"))
        user = ("--user", "nobody")
        for mode, capability in ((0o4755, None), (0o755, "cap_net_bind_service+ep")):
            os.chmod(program, mode)
            if capability:
                run("setcap", capability, program)
            done = status(pair, 0, program, options=user)
            check("nothing can be loaded into it" in done.stderr, "stderr: %s", done.stderr)
            status(pair, 126, program, options=("--strict", *user))
            check("loaded" not in status(pair, 0, program).stderr, "root, who has it all, is told, too")


@case("a program with AddressSanitizer connects on the stack")
def _():
    need("gcc")
    with Pair() as pair, scratch() as directory, pair.peer.listen((PEER, 7000)):
        source, program = os.path.join(directory, "p.c"), os.path.join(directory, "p")
        with open(source, "w") as f:
            f.write('''
                #include <arpa/inet.h>
                #include <stdlib.h>
                #include <string.h>
                #include <sys/socket.h>
                int main(void)
                {
                    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(7000) };
                    int fd = socket(AF_INET, SOCK_STREAM, 0);
                    char *buf = strdup("hello");
                    inet_pton(AF_INET, "%s", &sin.sin_addr);
                    if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) || send(fd, buf, 5, 0) != 5)
                        return 1;
                    free(buf);
                    return 7;
                }''' % PEER)
        if run("gcc", "-fsanitize=address", "-o", program, source, timeout=30, ok=False).returncode:
            raise Skip("there is no AddressSanitizer")
        done = status(pair, 7, program, options=("--stats",))
        check("active_opens" in done.stderr, "it did not connect on the stack: %s", done.stderr)


@case("a program has a sigaction() of its own, which goes on to the C library's by its other name: Erlang's")
def _():
    need("gcc")
    with Pair() as pair, scratch() as directory:
        source, program = os.path.join(directory, "p.c"), os.path.join(directory, "p")
        with open(source, "w") as f:
            f.write('''
                #define _GNU_SOURCE
                #include <signal.h>
                int __sigaction(int, const struct sigaction *, struct sigaction *);
                static int own, came;
                int sigaction(int sig, const struct sigaction *new, struct sigaction *old)
                {
                    own++;
                    return __sigaction(sig, new, old);
                }
                static void handler(int sig) { came += sig; }
                int main(void)
                {
                    struct sigaction sa = { .sa_handler = handler };
                    if (sigaction(SIGUSR1, &sa, 0) || raise(SIGUSR1) || came != SIGUSR1)
                        return 1;
                    if (signal(SIGUSR1, SIG_DFL) != handler || siginterrupt(SIGUSR1, 1) || own != 1)
                        return 2;
                    return 7;
                }''')
        run("gcc", "-rdynamic", "-o", program, source, timeout=30)
        equal("status without the stack", run(program, ok=False).returncode, 7)
        status(pair, 7, program)


@case("a program written in Go is told of though it is linked dynamically, and not run with --strict")
def _():
    need("gcc")
    with Pair() as pair, scratch() as directory:
        source, program = os.path.join(directory, "p.c"), os.path.join(directory, "p")
        with open(source, "w") as f:  # with the section that Go's linker makes
            f.write('__attribute__((section(".go.buildinfo"))) int x = 1; int main(void) { return 2 + x; }\n')
        run("gcc", "-o", program, source, timeout=30)
        done = status(pair, 3, program)
        check("is written in Go" in done.stderr, "stderr: %s", done.stderr)
        status(pair, 126, program, options=("--strict",))


@case("ss and inspect succeed where no program runs")
def _():
    with Pair() as pair:
        for command in (("ss",), ("ss", "--json"), ("inspect",)):
            done = run(MILLRACE, *command, ns=pair.engine, ok=False)
            equal("status of %s" % " ".join(command), done.returncode, 0)


@case("a stack that another build has started is told of, and not looked into")
def _():
    with open(os.path.join(BUILD, "gen/layout.c")) as source, open(MILLRACE, "rb") as command:
        layout = int(source.read().split()[-1].rstrip("u;")).to_bytes(4, "little")
        image = command.read()
    with Pair() as pair, scratch() as directory, Process(shared("sleep", "60"), ns=pair.engine) as program:
        wait_for("the stack", lambda: run(MILLRACE, "ss", "--summary", ns=pair.engine).stdout or None)
        other = os.path.join(directory, "millrace")
        with open(other, "wb") as file:
            file.write(image.replace(layout, bytes(byte ^ 255 for byte in layout)))
        os.chmod(other, 0o755)
        for command in ("ss", "inspect"):
            done = run(other, command, ns=pair.engine, ok=False)
            check("another build" in done.stderr and done.returncode > 0, "%s: %s, status %d", command, done.stderr,
                  done.returncode)
        check(program.alive(), "the program has ended")


main()
