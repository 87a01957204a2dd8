// SPDX-License-Identifier: BSD-2-Clause
/*
 * call_stdio.c - standard I/O on sockets: fdopen, dprintf.
 * Called by   the program; the joining of the stack, for standard input and output.
 *
 * The C library's streams read and write without the functions that we stand in front of. A stream on a
 * socket, which may be ours now or later, gets functions that call them.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "posix/posix.h"
#include "posix/stdio.h"

static int cookie_fd(void *cookie)
{
	return (int)(intptr_t)cookie;
}

static ssize_t cookie_read(void *cookie, char *buf, size_t len)
{
	return read(cookie_fd(cookie), buf, len);
}

static ssize_t cookie_write(void *cookie, const char *buf, size_t len)
{
	ssize_t n = write(cookie_fd(cookie), buf, len);

	return n < 0 ? 0 : n; /* fopencookie() wants 0 for an error; errno is set */
}

static int cookie_close(void *cookie)
{
	return close(cookie_fd(cookie));
}

static FILE *open_cookie(int fd, const char *mode)
{
	static const cookie_io_functions_t functions = {
		.read = cookie_read,
		.write = cookie_write,
		.close = cookie_close,
	};
	FILE *stream = fopencookie((void *)(intptr_t)fd, mode, functions);

	if (stream)
		stream->_fileno =
			fd; /* fileno() tells it; nothing else of a cookie's stream looks */
	return stream;
}

/* A TCP socket: may be ours, now or later. */
static bool may_be_ours(int fd)
{
	int protocol = 0;
	socklen_t len = sizeof(protocol);

	return px_offered() && !REAL(getsockopt)(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) &&
	       protocol == IPPROTO_TCP;
}

PUBLIC FILE *fdopen(int fd, const char *mode)
{
	return may_be_ours(fd) ? open_cookie(fd, mode) : REAL(fdopen)(fd, mode);
}

void stdio_adopt(void)
{
	FILE *stream;

	if (fd_ours(STDIN_FILENO) && (stream = open_cookie(STDIN_FILENO, "r")))
		stdin = stream;
	if (fd_ours(STDOUT_FILENO) && (stream = open_cookie(STDOUT_FILENO, "w")))
		stdout = stream;
	if (fd_ours(STDERR_FILENO) && (stream = open_cookie(STDERR_FILENO, "w"))) {
		setvbuf(stream, NULL, _IONBF, 0);
		stderr = stream;
	}
}

/* ---- dprintf --------------------------------------------------------------------------------- */

int __dprintf_chk(int fd, int flag, const char *format, ...);
int __vdprintf_chk(int fd, int flag, const char *format, va_list ap);

__attribute__((format(printf, 2, 0))) PUBLIC int vdprintf(int fd, const char *restrict format,
							  va_list ap)
{
	char *text;
	int len = vasprintf(&text, format, ap), done = 0;

	if (len < 0)
		return len;
	while (done < len) {
		ssize_t n = write(fd, text + done, (size_t)(len - done));

		if (n < 0)
			break;
		done += (int)n;
	}
	free(text);
	return done < len ? -1 : len;
}

PUBLIC int dprintf(int fd, const char *restrict format, ...)
{
	va_list ap;
	int ret;

	va_start(ap, format);
	ret = vdprintf(fd, format, ap);
	va_end(ap);
	return ret;
}

__attribute__((format(printf, 3, 0))) PUBLIC int __vdprintf_chk(int fd, int flag,
								const char *format, va_list ap)
{
	(void)flag; /* %n in writable memory is not looked for */
	return vdprintf(fd, format, ap);
}

__attribute__((format(printf, 3, 4))) PUBLIC int __dprintf_chk(int fd, int flag, const char *format,
							       ...)
{
	va_list ap;
	int ret;

	va_start(ap, format);
	ret = __vdprintf_chk(fd, flag, format, ap);
	va_end(ap);
	return ret;
}
