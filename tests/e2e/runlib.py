# SPDX-License-Identifier: BSD-2-Clause
"""
runlib.py - programs under `millrace run`: what the tests of them have in common, on top of lib.py.
"""
import contextlib
import glob
import json
import os
import time

from lib import *

SHARED = NEIGHBOUR  # the kernel's addresses, which programs share with it
SHARED6 = "fd77::3"

LONG = bool(os.environ.get("LONG"))  # the numbers of the claims, where a test makes do with less


def under(pair, *argv, address=ENGINE + "/24"):
    """A command line with an address of the stack's own."""
    return [MILLRACE, "run", "-i", "v0", "--address", address, "--"] + list(argv)


def shared(*argv, user=None, options=()):
    """A command line on the kernel's addresses."""
    return [MILLRACE, "run", "-i", "v0", *options, *(["--user", user] if user else []), "--", *argv]


def client(pair, *argv, timeout=30, cwd=None):
    """A client on the kernel's address, and on the stack. Its output."""
    done = run(*shared(*argv, options=("--stats",)), ns=pair.engine, timeout=timeout, cwd=cwd)
    check("active_opens" in done.stderr, "%s did not connect on the stack: %s", argv[0], done.stderr)
    return done.stdout


def sockets(pair):
    """What `millrace ss` tells."""
    return json.loads(run(MILLRACE, "ss", "--json", ns=pair.engine).stdout)


def in_use(pair):
    """What of the one stack there is in use, by the names of `millrace ss --summary`."""
    (stack,) = json.loads(run(MILLRACE, "ss", "--summary", "--json", ns=pair.engine).stdout)
    return {key: value["used"] for key, value in stack.items() if key != "stack"}


@contextlib.contextmanager
def shared_pair(**kwargs):
    """A pair whose engine side has kernel addresses of both families to share."""
    with Pair(v6=True, **kwargs) as pair:
        run("ip", "addr", "add", SHARED6 + "/64", "dev", "v0", "nodad", ns=pair.engine)
        yield pair


@contextlib.contextmanager
def shared_server(pair, *argv, port, user=None, options=(), address=SHARED, timeout=15):
    """A server under millrace run on the kernel's address, on the stack, ready when its port answers."""
    with Process(shared(*argv, user=user, options=options), ns=pair.engine, name=argv[0]) as server:
        def answers():
            check(server.alive(), "%s has ended", server.name)
            with contextlib.suppress(OSError):
                pair.peer.connect((address, port), timeout=1).close()
                return True
        wait_for(argv[0], answers, timeout=timeout)
        check(any(e["state"] == "LISTEN" and e["accelerated"] and e["local"].endswith(":%d" % port)
                  for e in sockets(pair)), "%s does not listen on the stack: %s", argv[0], sockets(pair))
        yield server


def pgbench(pair, address, any_address):
    """PostgreSQL under millrace run, and pgbench at the peer, which has each of its transactions answered."""
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not programs:
        raise Skip("postgresql is not installed")
    need("pgbench")
    with scratch() as directory:
        os.chmod(directory, 0o777)
        data = os.path.join(directory, "data")
        run("setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups",
            programs[-1] + "/initdb", "-A", "trust", "-N", "-D", data, timeout=60)
        with open(os.path.join(data, "pg_hba.conf"), "a") as f:
            f.write("host all all %s/0 trust\n" % any_address)
        with shared_server(pair, programs[-1] + "/postgres", "-D", data, "-c", "listen_addresses=" + any_address, "-c",
                           "unix_socket_directories=", "-c", "fsync=off", port=5432, user="postgres", address=address):
            where = ["-h", address, "-U", "postgres", "postgres"]
            run("pgbench", "-i", "-q", "-s", "1", *where, ns=pair.peer, timeout=30)
            text = run("pgbench", "-c", "4", "-j", "2", "-t", "200", *where, ns=pair.peer, timeout=30).stdout
            check("processed: 800/800" in text, "%s", text)


# An echo server for the address that is put in.
ASYNCIO_ECHO = """if 1:
    import asyncio
    async def serve(r, w):
        while data := await r.read(65536):
            w.write(data)
            await w.drain()
        w.close()
    async def main():
        async with await asyncio.start_server(serve, "%s", 7000) as s:
            await s.serve_forever()
    asyncio.run(main())
"""
