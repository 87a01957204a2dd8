/* SPDX-License-Identifier: BSD-2-Clause */
/* http_path.h - from the path of a request to a file below a directory, never outside of it. */
#ifndef MR_CLI_HTTP_PATH_H
#define MR_CLI_HTTP_PATH_H

#include "cli/http_parse.h"

#define HTTP_PATH_MAX 4096u

/* Percent-decode the path of a target ("/a%20b") into out, as a relative path ("a b"; "." for the root). Returns 0;
 * -400: malformed escape, or a NUL; -414: HTTP_PATH_MAX or longer. */
int http_path_decode(struct http_slice path, char out[HTTP_PATH_MAX]);

/* openat2(2) that never leaves root: "..", absolute paths and symbolic links that would are refused, and so are magic
 * links (/proc). Returns a descriptor or a negative errno (-EXDEV: it would leave root). */
int http_path_open(int root_fd, const char *path, int flags);

/* Split a decoded path into directory ("." if there is none) and name. Writes a NUL into path. Returns 0; -400: there
 * is no name, or it is "." or "..". */
int http_path_split(char *path, const char **dir, const char **name);

/* Write text into out, escaped for HTML text and attributes, or for a path segment of a URL. Return the length, or -1
 * if size is too small for it and a NUL; then out is not usable. */
int http_escape_html(const char *text, char *out, size_t size);
int http_escape_url(const char *text, char *out, size_t size);

/* The media type for the extension of a name: "text/html; charset=utf-8". */
const char *http_mime_type(const char *name);

#endif
