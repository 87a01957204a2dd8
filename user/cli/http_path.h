/* SPDX-License-Identifier: BSD-2-Clause */
/* http_path.h - from the path of a request to a file below a directory, and never out of it. */
#ifndef MR_CLI_HTTP_PATH_H
#define MR_CLI_HTTP_PATH_H

#include "cli/http_parse.h"

#define HTTP_PATH_MAX 4096u

/* Percent-decode the path of a target ("/a%20b") into out, relative ("a b"; "." for the root).
 * 0; -400: malformed escape, a NUL; -414: HTTP_PATH_MAX or longer. */
int http_path_decode(struct http_slice path, char out[HTTP_PATH_MAX]);

/* openat2(2) that never leaves root: "..", absolute and symbolic links that would are refused, and
 * so are magic links (/proc). A file descriptor or a negative errno (-EXDEV: it would leave). */
int http_path_open(int root_fd, const char *path, int flags);

/* Split a decoded path into directory and name; *dir is "." where there is none. -400: no name, or
 * one that is "." or "..". Writes a NUL into path. */
int http_path_split(char *path, const char **dir, const char **name);

/* Append what is safe in an HTML text or attribute, and in a URL's path segment. Return bytes
 * written, or -1 when size (with a NUL) is too small; nothing useful is in out then. */
int http_escape_html(const char *text, char *out, size_t size);
int http_escape_url(const char *text, char *out, size_t size);

/* "text/html; charset=utf-8" by the name's extension. */
const char *http_mime_type(const char *name);

#endif
