// SPDX-License-Identifier: BSD-2-Clause
/*
 * call_syscall.c - the C library's syscall(): calls that the shim implements are passed to it.
 * Called by   the program.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/compiler.h"
#include "posix/confine.h"
#include "posix/posix.h"
#include "posix/process.h"
#include "posix/uring.h"

/* Arguments as in registers: always six words. */
struct words {
	long a, b, c, d, e, f;
};

#define PTR(x) ((void *)(uintptr_t)(x))

/* System calls that differ from the C library's functions. */
static long other_form(long nr, const struct words *w, bool *done)
{
	/* The kernel's signal set has 8 bytes; the C library's functions read no more of theirs. */
	switch (nr) {
	case SYS_ppoll:
		return ppoll(PTR(w->a), (nfds_t)w->b, PTR(w->c), PTR(w->d));
	case SYS_pselect6:
		return pselect((int)w->a, PTR(w->b), PTR(w->c), PTR(w->d), PTR(w->e),
			       w->f ? *(sigset_t **)PTR(w->f) : NULL);
	case SYS_epoll_pwait:
		return epoll_pwait((int)w->a, PTR(w->b), (int)w->c, (int)w->d, PTR(w->e));
#ifdef SYS_epoll_pwait2
	case SYS_epoll_pwait2:
		return epoll_pwait2((int)w->a, PTR(w->b), (int)w->c, PTR(w->d), PTR(w->e));
#endif
	default:
		*done = false;
		return 0;
	}
}

static long on_sockets(long nr, const struct words *w, bool *done)
{
	int fd = (int)w->a;

	switch (nr) {
	case SYS_socket:
		return socket(fd, (int)w->b, (int)w->c);
	case SYS_bind:
		return bind(fd, PTR(w->b), (socklen_t)w->c);
	case SYS_listen:
		return listen(fd, (int)w->b);
	case SYS_connect:
		return connect(fd, PTR(w->b), (socklen_t)w->c);
	case SYS_accept:
		return accept(fd, PTR(w->b), PTR(w->c));
	case SYS_accept4:
		return accept4(fd, PTR(w->b), PTR(w->c), (int)w->d);
	case SYS_shutdown:
		return shutdown(fd, (int)w->b);
	case SYS_getsockname:
		return getsockname(fd, PTR(w->b), PTR(w->c));
	case SYS_getpeername:
		return getpeername(fd, PTR(w->b), PTR(w->c));
	case SYS_getsockopt:
		return getsockopt(fd, (int)w->b, (int)w->c, PTR(w->d), PTR(w->e));
	case SYS_setsockopt:
		return setsockopt(fd, (int)w->b, (int)w->c, PTR(w->d), (socklen_t)w->e);
	case SYS_sendto:
		return sendto(fd, PTR(w->b), (size_t)w->c, (int)w->d, PTR(w->e), (socklen_t)w->f);
	case SYS_recvfrom:
		return recvfrom(fd, PTR(w->b), (size_t)w->c, (int)w->d, PTR(w->e), PTR(w->f));
	case SYS_sendmsg:
		return sendmsg(fd, PTR(w->b), (int)w->c);
	case SYS_recvmsg:
		return recvmsg(fd, PTR(w->b), (int)w->c);
	case SYS_sendmmsg:
		return sendmmsg(fd, PTR(w->b), (unsigned)w->c, (int)w->d);
	case SYS_recvmmsg:
		return recvmmsg(fd, PTR(w->b), (unsigned)w->c, (int)w->d, PTR(w->e));
	default:
		*done = false;
		return 0;
	}
}

static long on_files(long nr, const struct words *w, bool *done)
{
	int fd = (int)w->a;

	switch (nr) {
	case SYS_read:
		return read(fd, PTR(w->b), (size_t)w->c);
	case SYS_write:
		return write(fd, PTR(w->b), (size_t)w->c);
	case SYS_readv:
		return readv(fd, PTR(w->b), (int)w->c);
	case SYS_writev:
		return writev(fd, PTR(w->b), (int)w->c);
	case SYS_sendfile:
		return sendfile(fd, (int)w->b, PTR(w->c), (size_t)w->d);
	case SYS_splice:
		return splice(fd, PTR(w->b), (int)w->c, PTR(w->d), (size_t)w->e, (unsigned)w->f);
	case SYS_close:
		return close(fd);
#ifdef SYS_close_range
	case SYS_close_range:
		return close_range((unsigned)w->a, (unsigned)w->b, (int)w->c);
#endif
	case SYS_dup:
		return dup(fd);
	case SYS_dup3:
		return dup3(fd, (int)w->b, (int)w->c);
	case SYS_fcntl:
		return fcntl(fd, (int)w->b, w->c);
	case SYS_ioctl:
		return ioctl(fd, (unsigned long)w->b, w->c);
	case SYS_rt_sigaction:
		return handlers_action(fd, PTR(w->b), PTR(w->c), (size_t)w->d);
	case SYS_prctl:
		return prctl(fd, w->b, w->c, w->d, w->e);
	case SYS_seccomp:
		return confined_seccomp(w->a, w->b, w->c);
#ifdef SYS_io_uring_setup
	case SYS_io_uring_setup:
		*done = uring_refused();
		errno = ENOSYS;
		return -1;
#endif
	case SYS_epoll_create1:
		return epoll_create1(fd);
	case SYS_epoll_ctl:
		return epoll_ctl(fd, (int)w->b, (int)w->c, PTR(w->d));
	default:
		*done = false;
		return 0;
	}
}

/* Older calls, which only some architectures have. */
static long on_old_calls(long nr, const struct words *w, bool *done)
{
	switch (nr) {
#ifdef SYS_poll
	case SYS_poll:
		return poll(PTR(w->a), (nfds_t)w->b, (int)w->c);
#endif
#ifdef SYS_select
	case SYS_select:
		return select((int)w->a, PTR(w->b), PTR(w->c), PTR(w->d), PTR(w->e));
#endif
#ifdef SYS_dup2
	case SYS_dup2:
		return dup2((int)w->a, (int)w->b);
#endif
#ifdef SYS_epoll_create
	case SYS_epoll_create:
		return epoll_create((int)w->a);
#endif
#ifdef SYS_epoll_wait
	case SYS_epoll_wait:
		return epoll_wait((int)w->a, PTR(w->b), (int)w->c, (int)w->d);
#endif
	default:
		*done = false;
		return 0;
	}
}

static long on_processes(long nr, const struct words *w, bool *done)
{
	const long arg[6] = { w->a, w->b, w->c, w->d, w->e, w->f };

	switch (nr) {
#ifdef SYS_fork
	case SYS_fork:
		return process_clone(nr, arg);
#endif
#ifdef SYS_vfork
	case SYS_vfork: /* the child would return from a call on the parent's stack */
		return process_clone(SYS_fork, arg);
#endif
	case SYS_clone:
	case SYS_clone3:
		*done = process_clones(nr, arg);
		return *done ? process_clone(nr, arg) : 0;
	case SYS_execve:
		return execve(PTR(w->a), PTR(w->b), PTR(w->c));
	case SYS_execveat:
		return execveat((int)w->a, PTR(w->b), PTR(w->c), PTR(w->d), (int)w->e);
	default:
		*done = false;
		return 0;
	}
}

PUBLIC long syscall(long nr, ...)
{
	long (*const families[])(long, const struct words *, bool *) = { on_sockets, on_files,
									 other_form, on_old_calls,
									 on_processes };
	struct words w;
	va_list ap;

	va_start(ap, nr);
	w.a = va_arg(ap, long);
	w.b = va_arg(ap, long);
	w.c = va_arg(ap, long);
	w.d = va_arg(ap, long);
	w.e = va_arg(ap, long);
	w.f = va_arg(ap, long);
	va_end(ap);
	if (px_offered()) {
		for (size_t i = 0; i < MR_ARRAY_SIZE(families); i++) {
			bool done = true;
			long ret = families[i](nr, &w, &done);

			if (done)
				return ret;
		}
	}
	return REAL(syscall)(nr, w.a, w.b, w.c, w.d, w.e, w.f);
}
