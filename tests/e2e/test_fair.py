#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
test_fair.py - Linux as a neighbour: a CUBIC flow of Millrace and one of the kernel over one bottleneck. The rest
of who gets how much beside whom is scripts/bench-lossy's subject (--fair).
"""
from badwire import *

PATH = ("--both", "--rate-mbit", 50, "--delay-ms", 10, "--queue-kb", 192)


def fair(kernel_first):
    need("ethtool")
    ours, kernels = share(PATH, "cubic", "cubic", kernel_first, ahead=2, settle=15, span=20)
    note("%.1f and %.1f MB, Jain's index %.3f" % (ours / 1e6, kernels / 1e6, jain(ours, kernels)))
    check(ours + kernels > 50e6 / 8 * 20 * 0.7, "the wire was not full")
    check(jain(ours, kernels) > 0.85, "%d bytes for Millrace, %d for the kernel", ours, kernels)


case("CUBIC beside the kernel's, which came first: Jain's index over 0.85", timeout=120)(
    lambda: fair(True))
case("CUBIC beside the kernel's, which came second: Jain's index over 0.85", timeout=120)(
    lambda: fair(False))

main()
