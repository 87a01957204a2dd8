// SPDX-License-Identifier: BSD-2-Clause
/*
 * call_stdio.c - standard I/O on sockets: fdopen, dprintf.
 * Called by   the program; when the stack is joined, for standard input and output.
 *
 * The C library's streams do not call the read() and write() that programs see. So a stream on a socket that is
 * accelerated, or may be later, gets functions that call them. So does a standard stream whose descriptor becomes a
 * socket.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/compiler.h"
#include "posix/confine.h"
#include "posix/posix.h"
#include "posix/stdio.h"

static int cookie_fd(void *cookie)
{
	return (int)(intptr_t)cookie;
}

/* The former standard input stream: what it has buffered still has to be read by the program. */
static FILE *input_before;

static size_t unread(const FILE *stream)
{
	return (size_t)(stream->_IO_read_end - stream->_IO_read_ptr);
}

static ssize_t cookie_read(void *cookie, char *buf, size_t len)
{
	if (cookie_fd(cookie) == STDIN_FILENO && input_before && unread(input_before))
		return (ssize_t)fread(buf, 1, mr_min(len, unread(input_before)), input_before);
	return read(cookie_fd(cookie), buf, len);
}

static ssize_t cookie_write(void *cookie, const char *buf, size_t len)
{
	ssize_t n = write(cookie_fd(cookie), buf, len);

	return n < 0 ? 0 : n; /* 0 means an error for fopencookie(); errno is set */
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
		stream->_fileno = fd; /* for fileno(); nothing else uses it in such a stream */
	return stream;
}

/* Is it a TCP socket, which is accelerated or may be later? */
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

/* Move buffered output to the new stream. */
static void succeed_output(FILE *stream, FILE *before)
{
	size_t n = __fpending(before);

	if (before == stderr || __fbufsize(before) == 1)
		setvbuf(stream, NULL, _IONBF, 0);
	else if (__flbf(before))
		setvbuf(stream, NULL, _IOLBF, 0);
	if (n)
		fwrite(before->_IO_write_base, 1, n, stream);
	__fpurge(before);
}

static bool adopted[STDERR_FILENO + 1]; /* for ever, whatever their descriptors become */

static void adopt_stream(int fd)
{
	FILE *stream = adopted[fd] ? NULL : open_cookie(fd, fd == STDIN_FILENO ? "r" : "w");

	if (!stream)
		return;
	adopted[fd] = true;
	if (fd == STDIN_FILENO) {
		input_before = stdin;
		stdin = stream;
	} else if (fd == STDOUT_FILENO) {
		succeed_output(stream, stdout);
		stdout = stream;
	} else {
		succeed_output(stream, stderr);
		stderr = stream;
	}
}

void stdio_adopt(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fd_ours(fd))
			adopt_stream(fd);
}

void stdio_follow(int fd)
{
	if (mr_unlikely(fd <= STDERR_FILENO) && fd >= 0 && !px_confined() && may_be_ours(fd))
		adopt_stream(fd);
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
	(void)flag; /* %n in writable memory is not checked for */
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
