// SPDX-License-Identifier: BSD-2-Clause
/*
 * http_get.c - GET and HEAD: files, parts of files, directories.
 * Implements  RFC 9110 sections 13 (If-None-Match, If-Modified-Since, If-Range) and 14 (one range).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/http_conn.h"
#include "cli/http_path.h"

#define LISTING_MAX 10000 /* names in a directory listing */
#define ETAG_LEN    40

/* What a refused open or stat means to a client. */
static unsigned status_of_errno(int err)
{
	switch (err) {
	case -ENOENT:
	case -ENOTDIR:
	case -ENAMETOOLONG:
		return 404;
	case -EACCES:
	case -EPERM:
	case -EXDEV: /* it would leave the directory */
	case -ELOOP:
	case -ENXIO: /* a socket, or a device without one */
		return 403;
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
		return 503;
	default:
		return 500;
	}
}

/* A directory is asked for with a slash at the end, so that relative links in its page work. One
 * slash only at the front: "//host/" would send the client to another host. */
static void redirect_to_directory(struct conn *c, const struct http_request *req)
{
	struct http_slice path = http_target_path(req->target);

	while (path.len > 1 && path.p[1] == '/') {
		path.p++;
		path.len--;
	}
	reply_begin(c, req, 301);
	reply_printf(c, "Location: %.*s/\r\nContent-Length: 0\r\n", (int)path.len, path.p);
	reply_end(c, req, request_wants_close(req));
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static bool entry_is_dir(int dir_fd, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type == DT_DIR)
		return true;
	if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK)
		return false;
	return !fstatat(dir_fd, entry->d_name, &st, 0) && S_ISDIR(st.st_mode);
}

static void list_entry(struct conn *c, int dir_fd, const struct dirent *entry)
{
	char url[3 * NAME_MAX + 1], text[6 * NAME_MAX + 1];
	const char *slash = entry_is_dir(dir_fd, entry) ? "/" : "";

	if (http_escape_url(entry->d_name, url, sizeof(url)) < 0 ||
	    http_escape_html(entry->d_name, text, sizeof(text)) < 0)
		return;
	reply_printf(c, "<li><a href=\"./%s%s\">%s%s</a></li>\n", url, slash, text, slash);
}

/* The page is written behind the head, whose Content-Length is filled in afterwards: a field of
 * fixed width is kept free for it. */
static void reply_listing(struct conn *c, const struct http_request *req, int dir_fd,
			  const char *path)
{
	struct dirent **entries = NULL;
	char title[6 * 256 + 1], length[21];
	size_t length_at, body_at;
	int n = scandirat(dir_fd, ".", &entries, visible, alphasort);

	if (n < 0) {
		reply_status(c, req, status_of_errno(-errno), "", request_wants_close(req));
		return;
	}
	if (http_escape_html(!strcmp(path, ".") ? "/" : path, title, sizeof(title)) < 0)
		strcpy(title, "directory");
	reply_begin(c, req, 200);
	reply_printf(c, "Content-Type: text/html; charset=utf-8\r\nContent-Length: ");
	length_at = c->out_len;
	reply_printf(c, "%20d\r\n", 0);
	reply_end(c, req, request_wants_close(req));
	body_at = c->out_len;

	reply_printf(c,
		     "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>%s</title>\n<h1>%s</h1>\n"
		     "<ul>\n%s",
		     title, title, strcmp(path, ".") ? "<li><a href=\"../\">../</a></li>\n" : "");
	for (int i = 0; i < n; i++) {
		if (i < LISTING_MAX)
			list_entry(c, dir_fd, entries[i]);
		free(entries[i]);
	}
	free(entries);
	reply_printf(c, "</ul>\n%s",
		     n > LISTING_MAX ? "<p>The directory has more names than are shown.</p>\n" :
				       "");
	if (c->out_failed)
		return;
	snprintf(length, sizeof(length), "%20zu", c->out_len - body_at);
	memcpy(c->out + length_at, length, 20);
	if (req->method == HTTP_HEAD)
		c->out_len = body_at;
}

/* Does If-Range, if there is one, still name this version of the file? RFC 9110 section 13.1.5. */
static bool range_applies(const struct http_request *req, const char *etag, time_t mtime)
{
	time_t t;

	if (!req->if_range.p)
		return true;
	if (req->if_range.len == strlen(etag) && !memcmp(req->if_range.p, etag, req->if_range.len))
		return true;
	return !http_parse_date(req->if_range, &t) && t == mtime;
}

/* RFC 9110 section 13.2.2: If-None-Match decides alone where it is present. */
static bool not_modified(const struct http_request *req, const char *etag, time_t mtime)
{
	time_t t;

	if (req->if_none_match.p)
		return http_etag_listed(req->if_none_match, etag);
	return req->if_modified_since.p && !http_parse_date(req->if_modified_since, &t) &&
	       mtime <= t;
}

/* Takes over fd. */
static void reply_file(struct conn *c, const struct http_request *req, int fd,
		       const struct stat *st, const char *path)
{
	uint64_t size = (uint64_t)st->st_size, first = 0, last = 0;
	enum http_range_kind kind = HTTP_RANGE_WHOLE;
	char etag[ETAG_LEN], modified[HTTP_DATE_LEN];
	bool send_body = req->method == HTTP_GET;
	unsigned status = 200;

	snprintf(etag, sizeof(etag), "\"%llx-%llx\"",
		 (unsigned long long)st->st_mtim.tv_sec * 1000000000ull +
			 (unsigned long long)st->st_mtim.tv_nsec,
		 (unsigned long long)size);
	http_format_date(st->st_mtim.tv_sec, modified);

	if (not_modified(req, etag, st->st_mtim.tv_sec)) {
		status = 304;
		send_body = false;
	} else if (req->method == HTTP_GET && req->range.p &&
		   range_applies(req, etag, st->st_mtim.tv_sec)) {
		kind = http_parse_range(req->range, size, &first, &last);
		status = kind == HTTP_RANGE_PART	  ? 206 :
			 kind == HTTP_RANGE_UNSATISFIABLE ? 416 :
							    200;
	}

	reply_begin(c, req, status);
	reply_printf(c, "ETag: %s\r\nLast-Modified: %s\r\nAccept-Ranges: bytes\r\n", etag,
		     modified);
	if (kind == HTTP_RANGE_UNSATISFIABLE) {
		reply_printf(c, "Content-Range: bytes */%llu\r\nContent-Length: 0\r\n",
			     (unsigned long long)size);
		send_body = false;
	} else if (status != 304) {
		uint64_t len = size;

		if (kind == HTTP_RANGE_PART) {
			len = last - first + 1;
			reply_printf(c, "Content-Range: bytes %llu-%llu/%llu\r\n",
				     (unsigned long long)first, (unsigned long long)last,
				     (unsigned long long)size);
		}
		reply_printf(c, "Content-Type: %s\r\nContent-Length: %llu\r\n",
			     http_mime_type(path), (unsigned long long)len);
		c->file_off = first;
		c->file_left = send_body ? len : 0;
	}
	reply_end(c, req, request_wants_close(req));
	if (send_body && c->file_left)
		c->file_fd = fd;
	else
		close(fd);
}

/* index.html if the directory has one, else its names. Takes over dir_fd. */
static void reply_directory(struct conn *c, const struct http_request *req, int dir_fd,
			    const char *path)
{
	char index[HTTP_PATH_MAX + sizeof("/index.html")];
	struct stat st;
	int fd;

	snprintf(index, sizeof(index), "%s/index.html", path);
	fd = http_path_open(c->srv->root_fd, index, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode)) {
		reply_file(c, req, fd, &st, index);
	} else {
		if (fd >= 0)
			close(fd);
		reply_listing(c, req, dir_fd, path);
	}
	close(dir_fd);
}

void get_start(struct conn *c, const struct http_request *req)
{
	struct http_slice target = http_target_path(req->target);
	bool close_after = request_wants_close(req);
	char path[HTTP_PATH_MAX];
	struct stat st;
	int err, fd;

	err = target.p ? http_path_decode(target, path) : -400;
	if (err) {
		reply_status(c, req, (unsigned)-err, "", close_after);
		return;
	}
	/* Without O_NONBLOCK, opening a FIFO would wait for its writer. */
	fd = http_path_open(c->srv->root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st)) {
		reply_status(c, req, fd < 0 ? status_of_errno(fd) : 500, "", close_after);
		if (fd >= 0)
			close(fd);
		return;
	}
	if (S_ISREG(st.st_mode)) {
		reply_file(c, req, fd, &st, path);
	} else if (!S_ISDIR(st.st_mode)) {
		close(fd);
		reply_status(c, req, 403, "", close_after);
	} else if (target.p[target.len - 1] != '/') {
		close(fd);
		redirect_to_directory(c, req);
	} else {
		reply_directory(c, req, fd, path);
	}
}
