/* SPDX-License-Identifier: BSD-2-Clause */
/* opt_priv.h - what the files about socket options (opt*.c) share. Nobody else includes it. */
#ifndef MR_POSIX_OPT_PRIV_H
#define MR_POSIX_OPT_PRIV_H

#include <linux/in6.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include "posix/posix.h"

#define SNDBUF_FACTOR 2	 /* as Linux, which doubles the value that is set */
#define CC_NAME_BYTES 16 /* TCP_CA_NAME_MAX */

/* ---- The table of options (opt_table.c) ------------------------------------------------------ */

/* How an option is implemented. */
enum how {
	AS_NUMBER, /* an int, the same in the stack */
	AS_BOOL,   /* an int, 0 or not 0 */
	/* A boolean that counts until the socket is bound; the kernel socket has the value. */
	AS_HELD,
	AS_NAME, /* name of a congestion control; the first four letters identify it */
	/* An int, SNDBUF_FACTOR times the stack's value; opt_value_of_new() is asked for those up to here. */
	AS_BUFFER,
	AS_LINGER, /* struct linger */
	AS_TIME,   /* struct timeval; kept in the file */
	AS_RATE,   /* bytes per second, an int or 64 bits; all ones: unlimited */
	AS_INQ,	   /* an int, 0 or not 0; kept in the file */
	/* For all that follow, the kernel socket has the value. */
	AS_FASTOPEN, /* queue of a listener; counts if the sysctl permits it for servers */
	DEVICE,	     /* allowed if it is the stack's interface, or none */
	REMEMBERED,  /* kept by the kernel socket; without effect on TCP, or only a hint */
	EARLY,	     /* as NEUTRAL before the socket is accelerated, without effect afterwards */
	NEUTRAL,     /* no effect as long as it has the value of a new socket */
	NONE,	     /* no effect as long as it is empty */
	REFUSED,     /* not implemented by the stack */
};

struct option {
	int level, name;
	enum how how;
	enum mr_opt opt;
	bool replay; /* the kernel socket's value is applied when the socket is accelerated */
};

extern const struct option opt_table[];
extern const size_t opt_count;

/* NULL: it is not in the table. */
const struct option *opt_find(int level, int name);
/* The kernel socket's value. False: it cannot be read, or is no int. */
bool opt_kernel_value(int fd, const struct option *o, int *value);
/* The value of a new kernel socket, read once per option. A negative result may mean unknown. */
int64_t opt_value_of_new(int family, const struct option *o);
/* Does the kernel socket have another value than a new one? */
bool opt_set_by_program(int fd, int family, const struct option *o);

/* ---- Into the stack (opt_set.c) -------------------------------------------------------------- */

/* The kernel socket fd has accepted val: set it in the stack, too. Returns 0 or a negative errno; -ENOPROTOOPT: the
 * stack does not have this option. */
int opt_apply(struct mr_file *f, int fd, const struct option *o, const void *val, socklen_t len);
/* Is this device (SO_BINDTODEVICE, SO_BINDTOIFINDEX) the stack's interface, or none? */
bool opt_our_device(int name, const void *val, socklen_t len);
/* The index of the congestion control with this Linux name, or -ENOENT. */
int opt_congestion(const char *name);
/* The bit of SO_REUSEADDR or SO_REUSEPORT in mr_file.held. */
static inline uint8_t opt_held_bit(const struct option *o)
{
	return o->name == SO_REUSEADDR ? 1 : 2;
}

/* ---- Around acceleration (opt_take.c) -------------------------------------------------------- */

/* An option was set on a socket that is not accelerated yet, and its value cannot be read from the kernel later. */
void opt_set_early(int fd, int level, int name);
/* Connections that a listener accepts inherit it from the kernel's socket: the stack does not keep it. */
/* Do accepted connections inherit this option from the kernel socket of the listener? It is one that the stack does
 * not keep. */
bool opt_is_inherited(const struct option *o);
void opt_mark_inherited(struct mr_file *f, const struct option *o);

#endif
