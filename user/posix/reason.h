/* SPDX-License-Identifier: BSD-2-Clause */
/* reason.h - why a socket is a kernel socket, and not accelerated. */
#ifndef MR_POSIX_REASON_H
#define MR_POSIX_REASON_H

#define MR_REASON_LIST(X)                                                                          \
	X(NONE, "")                                                                                \
	X(UDP, "not TCP")                                                                          \
	X(LOOPBACK, "loopback, or another address of this host")                                   \
	X(ROUTE, "the route does not go out of the interface")                                     \
	X(ADDRESS, "the address is not one of the interface")                                      \
	X(BOUND_DEVICE, "bound to another device")                                                 \
	X(CAME_BY_KERNEL, "accepted from the kernel: loopback or another interface")               \
	X(PORT, "the port is taken in the stack")                                                  \
	X(FULL, "no room in the stack")                                                            \
	X(OPTION, "an option that the stack does not have was set")                                \
	X(FILTER, "a BPF filter is attached")                                                      \
	X(MARK, "SO_MARK is set")                                                                  \
	X(TIMESTAMPS, "time stamps were asked for")                                                \
	X(ZEROCOPY, "SO_ZEROCOPY is set")                                                          \
	X(SIGNED, "TCP_MD5SIG is set")                                                             \
	X(REPAIR, "TCP_REPAIR is set")                                                             \
	X(TRANSPARENT, "IP_TRANSPARENT is set")                                                    \
	X(IP_OPTIONS, "IP_OPTIONS are set")                                                        \
	X(BEFORE, "it was there before the program joined the stack")                              \
	X(CONFINED, "the program has a seccomp filter")                                            \
	X(DESCRIPTOR, "the descriptor's number is too high")

enum mr_reason {
#define X(id, text) REASON_##id,
	MR_REASON_LIST(X)
#undef X
};

const char *reason_text(enum mr_reason reason);

#endif
