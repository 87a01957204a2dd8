// SPDX-License-Identifier: BSD-2-Clause
/*
 * sysctl.c - the kernel's network settings, below /proc/sys/net.
 * Authority   Documentation/networking/ip-sysctl.rst.
 * Called by   the engine and the command, at the start.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/sysctl.h"

int mr_sysctl_read(const char *name, char *text, size_t size)
{
	char path[128];
	int err = 0;
	FILE *f;

	text[0] = '\0';
	if (snprintf(path, sizeof(path), "/proc/sys/net/%s", name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	f = fopen(path, "re");
	if (!f)
		return -errno;
	if (!fgets(text, (int)size, f)) {
		text[0] = '\0';
		err = -EIO;
	}
	text[strcspn(text, "\n")] = '\0';
	fclose(f);
	return err;
}

int mr_sysctl_numbers(const char *name, long *values, unsigned n)
{
	char line[128], *at = line, *end;
	unsigned got = 0;
	int err = mr_sysctl_read(name, line, sizeof(line));

	if (err)
		return err;
	while (got < n) {
		long value = strtol(at, &end, 10);

		if (end == at)
			break;
		values[got++] = value;
		at = end;
	}
	return (int)got;
}
