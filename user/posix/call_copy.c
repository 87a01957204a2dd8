// SPDX-License-Identifier: BSD-2-Clause
/*
 * call_copy.c - sendfile and splice with an accelerated socket at one end, by copying.
 * Called by   the program.
 *
 * What is read from a file has to be sent, or the offset of the file must not advance: so only as much is read as is
 * sent. Reading from a pipe cannot be undone, so the call waits until the socket has taken it.
 */
#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <unistd.h>
#include "base/compiler.h"
#include "posix/posix.h"

#define PIECE	 (64u << 10)
#define COPY_MAX 0x7ffff000u

/* Send one piece from `in`, at *off unless off is NULL. Returns the bytes sent; *whole: the whole piece was sent. */
static ssize_t send_piece(int out, int in, off64_t *off, size_t len, bool *whole)
{
	uint8_t buf[PIECE];
	off64_t at = off ? *off : lseek64(in, 0, SEEK_CUR);
	ssize_t got, sent;

	*whole = false;
	if (at < 0)
		return -errno;
	got = REAL(pread64)(in, buf, mr_min(len, sizeof(buf)), at);
	if (got <= 0)
		return got == 0 ? 0 : errno == EISDIR ? -EINVAL : -errno;
	/* More follows, so the last, partial segment of the piece is not sent yet. */
	sent = send(out, buf, (size_t)got, len > (size_t)got ? MSG_MORE : 0);
	if (sent < 0)
		return -errno;
	if (off)
		*off = at + sent;
	else
		lseek64(in, at + sent, SEEK_SET);
	*whole = sent == got;
	return sent;
}

static ssize_t send_file(int out, int in, off64_t *off, size_t len)
{
	size_t done = 0;
	bool whole = true;
	ssize_t ret = 0;

	while (done < len && whole) {
		ret = send_piece(out, in, off, len - done, &whole);
		if (ret <= 0)
			break;
		done += (size_t)ret;
	}
	return done ? (ssize_t)done : ret;
}

/* The checks of Linux, in its order. */
static int check_file(int in, const off64_t *off)
{
	int flags = REAL(fcntl64)(in, F_GETFL);

	if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	if (lseek64(in, 0, SEEK_CUR) < 0)
		return off ? -ESPIPE : -EINVAL;
	return off && *off < 0 ? -EINVAL : 0;
}

/* ---- splice ---------------------------------------------------------------------------------- */

#define SPLICE_FLAGS ((unsigned)(SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT))

static bool is_open_for(int fd, int mode)
{
	int flags = REAL(fcntl64)(fd, F_GETFL);

	return flags >= 0 && ((flags & O_ACCMODE) == mode || (flags & O_ACCMODE) == O_RDWR);
}

static bool is_nonblocking(int fd)
{
	int flags = fcntl64(fd, F_GETFL);

	return flags >= 0 && flags & O_NONBLOCK;
}

/* Wait until everything is sent, even on a non-blocking socket, because the data is no longer in the pipe. */
static ssize_t send_all(int out, const uint8_t *buf, size_t len, int flags)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = send(out, buf + done, len - done, flags);

		if (n >= 0) {
			done += (size_t)n;
		} else if (errno == EAGAIN) {
			struct pollfd pfd = { .fd = out, .events = POLLOUT };

			poll(&pfd, 1, -1);
		} else if (errno != EINTR) {
			return done ? (ssize_t)done : -errno;
		}
	}
	return (ssize_t)done;
}

static ssize_t pipe_to_socket(int in, int out, size_t len, unsigned flags)
{
	struct pollfd room = { .fd = out, .events = POLLOUT };
	uint8_t buf[PIECE];
	ssize_t got;

	if (flags & SPLICE_F_NONBLOCK || is_nonblocking(out)) {
		struct pollfd data = { .fd = in, .events = POLLIN };

		if (!poll(&room, 1, 0) || (flags & SPLICE_F_NONBLOCK && !poll(&data, 1, 0)))
			return -EAGAIN;
	}
	got = REAL(read)(in, buf, mr_min(len, sizeof(buf)));
	if (got <= 0)
		return got < 0 ? -errno : 0;
	return send_all(out, buf, (size_t)got, flags & SPLICE_F_MORE ? MSG_MORE : 0);
}

static ssize_t socket_to_pipe(int in, int out, size_t len, unsigned flags)
{
	struct pollfd room = { .fd = out, .events = POLLOUT };
	uint8_t buf[PIECE];
	int free_bytes = fcntl64(out, F_GETPIPE_SZ), queued = 0;
	ssize_t got, put;

	if (free_bytes < 0)
		return -EINVAL;
	/* As in Linux, the flag applies to the pipe; the socket's own O_NONBLOCK applies to the socket. */
	if (poll(&room, 1, flags & SPLICE_F_NONBLOCK || is_nonblocking(out) ? 0 : -1) <= 0)
		return -EAGAIN;
	REAL(ioctl)(out, FIONREAD, &queued);
	/* The room of a pipe is counted in pages: even if it holds few bytes, it may take no more than the free
	 * pages. */
	free_bytes = queued < free_bytes ? free_bytes - queued : 0;
	len = mr_min(len, sizeof(buf));
	len = mr_min(len, (size_t)mr_max(free_bytes, PIPE_BUF));
	got = recv(in, buf, len, MSG_PEEK);
	if (got <= 0)
		return got < 0 ? -errno : 0;
	put = REAL(write)(out, buf, (size_t)got);
	if (put < 0)
		return -errno;
	/* Remove it from the stream, because it is in the pipe. */
	return recv(in, buf, (size_t)put, MSG_TRUNC);
}

PUBLIC ssize_t splice(int in, off64_t *inoff, int out, off64_t *outoff, size_t len, unsigned flags)
{
	if (!fd_ours(in) && !fd_ours(out))
		return REAL(splice)(in, inoff, out, outoff, len, flags);
	if ((fd_ours(in) && inoff) || (fd_ours(out) && outoff))
		return px_result(-ESPIPE);
	if ((fd_ours(in) && fd_ours(out)) || fcntl64(fd_ours(in) ? out : in, F_GETPIPE_SZ) < 0)
		return px_result(-EINVAL);
	if (!len)
		return 0;
	if (flags & ~SPLICE_FLAGS)
		return px_result(-EINVAL);
	/* One end of a pipe is read, the other one written. */
	if (!fd_ours(in) && !is_open_for(in, O_RDONLY))
		return px_result(-EBADF);
	if (!fd_ours(out) && !is_open_for(out, O_WRONLY))
		return px_result(-EBADF);
	return px_result(fd_ours(out) ? pipe_to_socket(in, out, len, flags) :
					socket_to_pipe(in, out, len, flags));
}

/* ---- sendfile: into a pipe it is splice() ------------------------------------------------------ */

static ssize_t send_to_pipe(int out, int in, const off64_t *off, size_t len)
{
	if (off)
		return -ESPIPE;
	if (fcntl64(out, F_GETPIPE_SZ) < 0) /* sendfile() from a file that cannot be mapped */
		return -EINVAL;
	return len ? socket_to_pipe(in, out, len, 0) : 0;
}

PUBLIC ssize_t sendfile64(int out, int in, off64_t *off, size_t len)
{
	int err;

	if (!fd_ours(out) && !fd_ours(in))
		return REAL(sendfile64)(out, in, off, len);
	if (fd_ours(in))
		return px_result(send_to_pipe(out, in, off, len));
	err = len > SSIZE_MAX ? -EINVAL : check_file(in, off);
	return px_result(err ?: send_file(out, in, off, mr_min(len, (size_t)COPY_MAX)));
}

PUBLIC ssize_t sendfile(int out, int in, off_t *off, size_t len)
	__attribute__((alias("sendfile64")));
