/* SPDX-License-Identifier: BSD-2-Clause */
/* opt_priv.h - what the files about socket options (opt*.c) offer one another. Nobody else includes it. */
#ifndef MR_POSIX_OPT_PRIV_H
#define MR_POSIX_OPT_PRIV_H

#include <linux/in6.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include "posix/posix.h"

#define SNDBUF_FACTOR 2	 /* Linux doubles what is asked for, and reports the double */
#define CC_NAME_BYTES 16 /* TCP_CA_NAME_MAX */

/* ---- The table of options (opt_table.c) ------------------------------------------------------ */

/* What an option is to the stack. */
enum how {
	AS_NUMBER, /* an int, the same in the stack */
	AS_BOOL,   /* an int, 0 or not 0 */
	AS_HELD, /* an int, 0 or not 0, until the socket is bound; the kernel's socket remembers it */
	AS_NAME, /* of a congestion control: of those that the stack has the first four letters differ */
	AS_BUFFER, /* an int, SNDBUF_FACTOR times what the stack has; up to here value_of_new() is asked */
	AS_LINGER, /* struct linger */
	AS_TIME,   /* struct timeval, the file's */
	AS_RATE,   /* bytes per second, int or 64 bits; all ones: not bounded */
	AS_INQ,	   /* an int, 0 or not 0, the file's */
	/* From here on the kernel's socket tells the value. */
	AS_FASTOPEN, /* a listener's queue, where the system lets servers have it */
	DEVICE,	     /* fine as long as it is the stack's own, or none */
	REMEMBERED,  /* by the kernel, and without a meaning for TCP, or a hint */
	EARLY,	     /* as NEUTRAL before the socket is accelerated, afterwards without a meaning */
	NEUTRAL,     /* the same as long as the value is the one of a new socket */
	NONE,	     /* the same as long as there is nothing */
	REFUSED,     /* not in the stack */
};

struct option {
	int level, name;
	enum how how;
	enum mr_opt opt;
	bool replay; /* taken over from the kernel's socket when it is accelerated */
};

extern const struct option opt_table[];
extern const size_t opt_count;

/* NULL: not in the table. */
const struct option *opt_find(int level, int name);
/* The value that the kernel's socket has. False: it does not tell, or it is no int. */
bool opt_kernel_value(int fd, const struct option *o, int *value);
/* The value that a new socket of the kernel has; asked of one, once for each option. Less than 0 may mean unknown. */
int64_t opt_value_of_new(int family, const struct option *o);
/* The kernel's socket tells another value than a new one. */
bool opt_set_by_program(int fd, int family, const struct option *o);

/* ---- Into the stack (opt_set.c) -------------------------------------------------------------- */

/* The kernel's socket, fd, has taken val: do the same in the stack. 0 or a negative errno, of which -ENOPROTOOPT means
 * that the stack cannot do it. */
int opt_apply(struct mr_file *f, int fd, const struct option *o, const void *val, socklen_t len);
/* Binding to this device (SO_BINDTODEVICE, SO_BINDTOIFINDEX) changes nothing: it is the stack's, or none. */
bool opt_our_device(int name, const void *val, socklen_t len);
/* The index of a congestion control by Linux's name, or -ENOENT. */
int opt_congestion(const char *name);
/* In mr_file.held: SO_REUSEADDR or SO_REUSEPORT, as the program set it. */
static inline uint8_t opt_held_bit(const struct option *o)
{
	return o->name == SO_REUSEADDR ? 1 : 2;
}

/* ---- Around acceleration (opt_take.c) -------------------------------------------------------- */

/* The option was set on a socket that is not accelerated yet, and cannot be asked for later. */
void opt_set_early(int fd, int level, int name);
/* Connections that a listener accepts inherit it from the kernel's socket: the stack does not keep it. */
bool opt_is_inherited(const struct option *o);
void opt_mark_inherited(struct mr_file *f, const struct option *o);

#endif
