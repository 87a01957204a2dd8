#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_transfer.py - files over HTTP between `millrace serve` and the kernel's curl arrive as they
were: large ones, many at once, and over a wire that loses and duplicates packets.
"""
import http.client

from lib import *

GIB = 1 << 30
SMALL_FILES = 200


def small_files(directory, count=SMALL_FILES):
    """count files of different contents and of sizes from 0 on up. {name: sha256}"""
    return {"f%03d" % i: make_file(os.path.join(directory, "f%03d" % i), i * i * 7, seed=i)
            for i in range(count)}


def parallel_downloads(pair, files, directory, timeout):
    """One curl process for each file, all at once."""
    curls = {}
    with contextlib.ExitStack() as stack:
        for name in files:
            curls[name] = stack.enter_context(Process(
                ["curl", "-sS", "--fail", "--max-time", str(timeout), "-o",
                 os.path.join(directory, name), url(name)], ns=pair.peer))
        for name, curl in curls.items():
            status = curl.wait(timeout + 5)
            check(status == 0, "curl %s: status %d: %s", name, status, curl.stderr().strip())
    sums = run("sha256sum", *files, cwd=directory, timeout=30).stdout
    got = {line.split()[1]: line.split()[0] for line in sums.splitlines()}
    wrong = [name for name in files if got.get(name) != files[name]]
    check(not wrong, "wrong contents: %s", " ".join(wrong))


def flags_capture(pair):
    """Only SYN, FIN and RST: a capture that a gigabyte does not fill."""
    return Capture(pair, "tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0")


def check_fins(capture):
    """FIN from both ends and no RST, in a capture that may have missed nothing else of interest."""
    rows = tshark(capture.finish(), "ip.src", "tcp.flags.fin", "tcp.flags.reset")
    check(all(reset == "0" for _, _, reset in rows), "a connection was reset")
    equal("FINs from", {src for src, fin, _ in rows if fin == "1"}, {ENGINE, PEER})


@case("a file of 1 GiB goes down and up with its sha256 and ends with FIN both ways", timeout=150)
def _():
    with Pair() as pair, scratch(2 * GIB) as top:
        www, up = os.path.join(top, "www"), os.path.join(top, "up")
        os.mkdir(www)
        os.mkdir(up)
        wanted = make_file(os.path.join(www, "big"), GIB)
        with serve(pair, www, "--upload", up) as server:
            with flags_capture(pair) as capture:
                started = time.monotonic()
                equal("sha256 of the download", download(pair, "big", timeout=60), wanted)
                down = time.monotonic() - started
                settle(pair)
                check_fins(capture)
            with flags_capture(pair) as capture:
                started = time.monotonic()
                upload(pair, os.path.join(www, "big"), "big", timeout=60)
                note("%.1f Gbit/s down, %.1f Gbit/s up" %
                     (8 * GIB / 1e9 / down, 8 * GIB / 1e9 / (time.monotonic() - started)))
                equal("sha256 of the upload", sha256_file(os.path.join(up, "big")), wanted)
                settle(pair)
                check_fins(capture)
            server.finish()


@case("200 curls at once get 200 different files, and tshark finds no fault in any packet")
def _():
    with Pair(peer_tx_csum=False) as pair, scratch() as top:
        www, got = os.path.join(top, "www"), os.path.join(top, "got")
        os.mkdir(www)
        os.mkdir(got)
        files = small_files(www)
        with Capture(pair) as capture, serve(pair, www) as server:
            parallel_downloads(pair, files, got, timeout=30)
            settle(pair)
            equal("connections", judge(capture.finish()), SMALL_FILES)
            counters = server.finish()
            equal("tcp.passive_opens", counters["tcp.passive_opens"], SMALL_FILES)
            equal("tcp.rst_out", counters["tcp.rst_out"], 0)


@case("one connection carries many requests (keep-alive)")
def _():
    with Pair() as pair, scratch() as www:
        files = small_files(www, 50)
        with serve(pair, www) as server:
            done = run("curl", "-sS", "--fail", "--max-time", "20", *map(url, files), ns=pair.peer,
                       timeout=25)
            equal("status", done.returncode, 0)
            equal("tcp.passive_opens", server.finish()["tcp.passive_opens"], 1)


@case("a part of a file, the head of a file and a missing file are answered as HTTP wants")
def _():
    with Pair() as pair, scratch() as www:
        make_file(os.path.join(www, "f"), 100000)
        with open(os.path.join(www, "f"), "rb") as f:
            contents = f.read()
        with serve(pair, www):
            sock = pair.peer.connect((ENGINE, PORT))
            connection = http.client.HTTPConnection(ENGINE, PORT)
            connection.sock = sock
            connection.request("GET", "/f", headers={"Range": "bytes=1000-50999"})
            reply = connection.getresponse()
            equal("status of a range", reply.status, 206)
            equal("the range", reply.read() == contents[1000:51000], True)
            connection.request("HEAD", "/f")
            reply = connection.getresponse()
            equal("status of HEAD", reply.status, 200)
            equal("Content-Length of HEAD", reply.getheader("Content-Length"), "100000")
            equal("body of HEAD", reply.read(), b"")
            connection.request("GET", "/none")
            reply = connection.getresponse()
            equal("status of a missing file", reply.status, 404)
            reply.read()
            connection.close()


def bad_wire_run(mode, size, upload_size):
    with Pair(peer_tx_csum=False) as pair, scratch() as top:
        www, up = os.path.join(top, "www"), os.path.join(top, "up")
        os.mkdir(www)
        os.mkdir(up)
        wanted = make_file(os.path.join(www, "big"), size)
        wanted_up = make_file(os.path.join(top, "put"), upload_size, seed=2)
        options = ("--upload", up, "--xdp-mode", mode, "--rx-csum", "verify")
        with serve(pair, www, *options) as server, \
                Capture(pair) as capture, BadWire(pair) as wire:
            started = time.monotonic()
            equal("sha256 of the download", download(pair, "big", timeout=60), wanted)
            down = time.monotonic()
            upload(pair, os.path.join(top, "put"), "put", timeout=60)
            note("%.1f s down, %.1f s up" % (down - started, time.monotonic() - down))
            equal("sha256 of the upload", sha256_file(os.path.join(up, "put")), wanted_up)
            wire.check_was_bad()
            settle(pair)
            equal("connections", judge(capture.finish(), duplicates=True), 2)
            counters = server.finish()
            check(counters["tcp.retrans_segs"] > 0, "nothing was retransmitted")
            check(counters["tcp.ooo_queued"] > 0, "nothing came out of order")


for _mode in ("generic", "native"):
    case("over a wire that loses 2%% and doubles 1%% both ways, files go down and up whole (%s)"
         % _mode, timeout=150)(lambda mode=_mode: bad_wire_run(mode, 24 * MIB, 24 * MIB))


@case("over the same wire, 200 curls at once get 200 different files", timeout=120)
def _():
    with Pair(peer_tx_csum=False) as pair, scratch() as top:
        www, got = os.path.join(top, "www"), os.path.join(top, "got")
        os.mkdir(www)
        os.mkdir(got)
        files = small_files(www)
        with serve(pair, www) as server, Capture(pair) as capture, BadWire(pair) as wire:
            parallel_downloads(pair, files, got, timeout=60)
            wire.check_was_bad()
            settle(pair, 60)
            equal("connections", judge(capture.finish(), duplicates=True), SMALL_FILES)
            server.finish()


main()
