// SPDX-License-Identifier: BSD-2-Clause
/*
 * http_path.c - names: decoded, opened safely, escaped.
 * The rule that a request cannot leave its directory is the kernel's (RESOLVE_BENEATH), not one of
 * string comparison: it holds for symbolic links and against renames at the same moment.
 */
#include "cli/http_path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int http_path_decode(struct http_slice path, char out[HTTP_PATH_MAX])
{
	size_t n = 0, i = 0;

	while (i < path.len && path.p[i] == '/')
		i++;
	for (; i < path.len; i++) {
		char c = path.p[i];

		if (c == '%') {
			int hi = i + 2 < path.len ? hex_digit(path.p[i + 1]) : -1;
			int lo = i + 2 < path.len ? hex_digit(path.p[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return -400;
			c = (char)(hi << 4 | lo);
			i += 2;
		}
		if (!c)
			return -400;
		if (!n && c == '/')
			continue; /* "%2fetc" is not an absolute path either */
		if (n + 1 >= HTTP_PATH_MAX)
			return -414;
		out[n++] = c;
	}
	if (!n)
		out[n++] = '.';
	out[n] = '\0';
	return 0;
}

int http_path_open(int root_fd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int http_path_split(char *path, const char **dir, const char **name)
{
	char *slash = strrchr(path, '/');

	*name = slash ? slash + 1 : path;
	*dir = slash ? path : ".";
	if (!**name || !strcmp(*name, ".") || !strcmp(*name, ".."))
		return -400;
	if (slash)
		*slash = '\0';
	return 0;
}

int http_escape_html(const char *text, char *out, size_t size)
{
	size_t n = 0;

	for (; *text; text++) {
		char plain[2] = { *text, '\0' };
		const char *with = plain;
		size_t len;

		switch (*text) {
		case '&':
			with = "&amp;";
			break;
		case '<':
			with = "&lt;";
			break;
		case '>':
			with = "&gt;";
			break;
		case '"':
			with = "&quot;";
			break;
		case '\'':
			with = "&#39;";
			break;
		}
		len = strlen(with);
		if (n + len >= size)
			return -1;
		memcpy(out + n, with, len);
		n += len;
	}
	if (n >= size)
		return -1;
	out[n] = '\0';
	return (int)n;
}

int http_escape_url(const char *text, char *out, size_t size)
{
	size_t n = 0;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || strchr("-._~", c); /* RFC 3986 section 2.3 */

		if (n + (plain ? 1 : 3) >= size)
			return -1;
		if (plain)
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, 4, "%%%02X", c);
	}
	if (n >= size)
		return -1;
	out[n] = '\0';
	return (int)n;
}
