// SPDX-License-Identifier: BSD-2-Clause
/*
 * http_put.c - PUT: the body goes into a temporary file beside its place and is renamed when it is
 * complete, so that nobody ever sees half an upload.
 * Implements  RFC 9110 sections 9.3.4 (PUT), 10.1.1 (100-continue) and 14.5 (no partial PUT).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/compiler.h"
#include "cli/http_conn.h"
#include "cli/http_path.h"

struct upload {
	struct http_body body;
	struct http_request req;	/* of its slices only what the log shows, made lasting */
	char target[HTTP_TARGET_SHOWN]; /* its target, no NUL */
	int dir_fd, fd;
	uint64_t received;
	char temp[48];
	char name[NAME_MAX + 1];
};

static unsigned status_of_errno(int err)
{
	switch (err) {
	case ENOENT:
	case ENOTDIR:
	case EISDIR:
		return 409; /* a directory is missing, or stands where the file should go */
	case EACCES:
	case EPERM:
	case EXDEV:
	case ELOOP:
	case EROFS:
		return 403;
	case ENAMETOOLONG:
		return 414;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return 507;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return 503;
	default:
		return 500;
	}
}

/* The body is not read: the connection cannot go on after the answer. */
static void refuse(struct conn *c, const struct http_request *req, unsigned status)
{
	reply_status(c, req, status, status == 405 ? "Allow: GET, HEAD\r\n" : "", true);
}

static void upload_free(struct conn *c)
{
	struct upload *up = c->upload;

	if (up->fd >= 0)
		close(up->fd);
	if (up->dir_fd >= 0)
		close(up->dir_fd);
	free(up);
	c->upload = NULL;
}

void put_cancel(struct conn *c)
{
	struct upload *up = c->upload;

	if (!up)
		return;
	if (up->fd >= 0)
		unlinkat(up->dir_fd, up->temp, 0);
	upload_free(c);
}

/* Open the directory and the temporary file for a decoded path. 0 or a status. */
static unsigned upload_open(struct server *srv, struct upload *up, char *path)
{
	static unsigned serial;
	const char *dir, *name;
	struct stat st;

	if (http_path_split(path, &dir, &name))
		return 409;
	if (strlen(name) > NAME_MAX)
		return 414;
	strcpy(up->name, name);
	up->dir_fd = http_path_open(srv->upload_fd, dir, O_PATH | O_DIRECTORY);
	if (up->dir_fd < 0)
		return status_of_errno(-up->dir_fd);
	if (!fstatat(up->dir_fd, up->name, &st, AT_SYMLINK_NOFOLLOW) && S_ISDIR(st.st_mode))
		return 409;
	snprintf(up->temp, sizeof(up->temp), ".millrace-upload-%d-%u", (int)getpid(), serial++);
	up->fd = openat(up->dir_fd, up->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			0666);
	return up->fd < 0 ? status_of_errno(errno) : 0;
}

void put_start(struct conn *c, const struct http_request *req)
{
	struct http_slice target = http_target_path(req->target);
	struct server *srv = c->srv;
	char path[HTTP_PATH_MAX];
	struct upload *up;
	unsigned status;
	int err;

	if (srv->upload_fd < 0) {
		refuse(c, req, 405);
		return;
	}
	err = target.p && !req->content_range ? http_path_decode(target, path) : -400;
	if (err) {
		refuse(c, req, (unsigned)-err);
		return;
	}
	if (!req->chunked && !req->has_length) {
		refuse(c, req, 411);
		return;
	}
	if (req->content_length > srv->upload_limit) {
		refuse(c, req, 413);
		return;
	}
	up = calloc(1, sizeof(*up));
	if (!up) {
		refuse(c, req, 503);
		return;
	}
	up->fd = up->dir_fd = -1;
	up->req = *req;
	up->req.method_name = (struct http_slice){ "PUT", 3 };
	up->req.target =
		(struct http_slice){ up->target, mr_min(req->target.len, sizeof(up->target)) };
	memcpy(up->target, req->target.p, up->req.target.len);
	c->upload = up;
	status = upload_open(srv, up, path);
	if (status) {
		put_cancel(c);
		refuse(c, req, status);
		return;
	}
	http_body_init(&up->body, req);
	if (req->expect_continue)
		reply_continue(c);
	else
		c->state = CONN_BODY;
}

/* Put the complete file in its place. */
static void upload_finish(struct conn *c)
{
	struct upload *up = c->upload;
	bool close_after = !up->req.keep_alive;
	bool existed = !faccessat(up->dir_fd, up->name, F_OK, AT_SYMLINK_NOFOLLOW);

	if (renameat(up->dir_fd, up->temp, up->dir_fd, up->name)) {
		reply_status(c, &up->req, status_of_errno(errno), "", close_after);
		put_cancel(c);
		return;
	}
	reply_begin(c, &up->req, existed ? 204 : 201);
	if (!existed)
		reply_printf(c, "Content-Length: 0\r\n");
	reply_end(c, &up->req, close_after);
	upload_free(c);
}

/* The answer to a body that cannot be taken; what is left of it is not read. */
static void upload_fail(struct conn *c, unsigned status)
{
	refuse(c, &c->upload->req, status);
	put_cancel(c);
}

/* 0 or a status. */
static unsigned upload_write(struct conn *c, const char *data, size_t len)
{
	struct upload *up = c->upload;

	up->received += len;
	if (up->received > c->srv->upload_limit)
		return 413;
	while (len) {
		ssize_t n = write(up->fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return status_of_errno(errno);
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Take the part of the body that stands in c->in. */
static unsigned take_buffered(struct conn *c)
{
	struct upload *up = c->upload;
	size_t pos = 0;
	unsigned status = 0;

	while (pos < c->in_len && up->body.state != HTTP_BODY_DONE && !status) {
		const char *data;
		size_t len;
		int n = http_body_feed(&up->body, c->in + pos, c->in_len - pos, &data, &len);

		if (n < 0)
			return (unsigned)-n;
		pos += (size_t)n;
		if (len)
			status = upload_write(c, data, len);
	}
	memmove(c->in, c->in + pos, c->in_len - pos);
	c->in_len -= pos;
	return status;
}

/* Framing is received into c->in, so that what follows the body stays there for the next request;
 * runs of data go past it. */
enum step put_step(struct conn *c)
{
	struct upload *up = c->upload;
	unsigned status;
	ssize_t n;

	if (c->in_len) {
		status = take_buffered(c);
		if (status) {
			upload_fail(c, status);
			return STEP_ON;
		}
	}
	if (up->body.state == HTTP_BODY_DONE) {
		upload_finish(c);
		return STEP_ON;
	}
	if (up->body.state != HTTP_BODY_DATA) {
		n = mr_recv(c->sock, c->in, sizeof(c->in), 0);
		if (n > 0)
			c->in_len = (size_t)n;
	} else {
		size_t want = up->body.left < HTTP_SCRATCH_BYTES ? (size_t)up->body.left :
								   HTTP_SCRATCH_BYTES;

		n = mr_recv(c->sock, c->srv->scratch, want, 0);
		if (n > 0) {
			http_body_skip(&up->body, (uint64_t)n);
			status = upload_write(c, c->srv->scratch, (size_t)n);
			if (status) {
				upload_fail(c, status);
				return STEP_ON;
			}
		}
	}
	if (n == -EAGAIN)
		return STEP_IN;
	return n > 0 ? STEP_ON : STEP_CLOSE; /* end of the stream within the body, or an error */
}
