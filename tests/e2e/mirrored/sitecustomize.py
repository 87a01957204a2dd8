# SPDX-License-Identifier: BSD-2-Clause
"""
sitecustomize.py - in a Python program that is started with it: loopback, for TCP, is the address of the interface,
and whoever connects to it connects to the peer, who sends everything back (mirror.bpf.c). So what a test suite
says to itself goes over the wire. For tests/e2e/test_run_cpython.py.
"""
import os
import socket

_PLACES = {  # family: (own address, the peer's, the names and addresses that stand for them)
    socket.AF_INET: (os.environ["MIRROR_OWN"], os.environ["MIRROR_PEER"],
                     {"127.0.0.1", "localhost"}),
    socket.AF_INET6: (os.environ["MIRROR_OWN6"], os.environ["MIRROR_PEER6"], {"::1", "localhost"}),
}


def _is_tcp(sock):
    return sock.family in _PLACES and sock.type == socket.SOCK_STREAM


def _to_wire(sock, address, connecting):
    if _is_tcp(sock) and isinstance(address, tuple) and address and isinstance(address[0], str):
        own, peer, loopback = _PLACES[sock.family]
        if address[0] in loopback or address[0] == own:
            return (peer if connecting else own, *address[1:])
    return address


def _from_wire(sock, address):
    if _is_tcp(sock) and address:
        own, peer, _ = _PLACES[sock.family]
        if address[0] in (own, peer):
            return ("::1" if sock.family == socket.AF_INET6 else "127.0.0.1", *address[1:])
    return address


def _patch(name, make):
    setattr(socket.socket, name, make(getattr(socket.socket, name)))


_patch("bind", lambda real: lambda self, address: real(self, _to_wire(self, address, False)))
for _name in ("connect", "connect_ex"):
    _patch(_name, lambda real: lambda self, address: real(self, _to_wire(self, address, True)))
for _name in ("getsockname", "getpeername"):
    _patch(_name, lambda real: lambda self: _from_wire(self, real(self)))


def _accept(real):
    def accept(self):
        sock, address = real(self)
        return sock, _from_wire(self, address)
    return accept


_patch("accept", _accept)
