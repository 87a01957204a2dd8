// SPDX-License-Identifier: BSD-2-Clause
/*
 * xdp_owner.c - finds the process that holds the XDP program which is attached to an interface.
 * Authority   proc(5): /proc/PID/fdinfo of a bpf_link has its kind and the interface.
 * Called by   the engine, at start, if a program is attached already.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/xdp_owner.h"

#define PATH_BYTES 64

/* The rest of the first line that begins with key, in a file of /proc. False: there is none. */
static bool read_value(const char *path, const char *key, char *value, size_t size)
{
	FILE *f = fopen(path, "re");
	char line[128];
	bool found = false;

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(value, size, "%s", line + strlen(key));
		found = true;
	}
	fclose(f);
	return found;
}

static bool is_link_on(pid_t pid, const char *fd, int ifindex)
{
	char path[PATH_BYTES], text[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", (int)pid, fd);
	n = readlink(path, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	if (!strstr(text, "bpf_link") && !strstr(text, "bpf-link"))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.16s", (int)pid, fd);
	return read_value(path, "link_type:\t", text, sizeof(text)) && !strcmp(text, "xdp") &&
	       read_value(path, "ifindex:\t", text, sizeof(text)) &&
	       strtol(text, NULL, 10) == ifindex;
}

static bool has_link_on(pid_t pid, int ifindex)
{
	char path[PATH_BYTES];
	const struct dirent *e;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (e = readdir(dir)))
		found = is_link_on(pid, e->d_name, ifindex);
	closedir(dir);
	return found;
}

/* Interface indexes belong to a network namespace. */
static bool same_network(pid_t pid)
{
	char path[PATH_BYTES];
	struct stat here, there;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	return !stat("/proc/self/ns/net", &here) && !stat(path, &there) &&
	       here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

static void read_command(pid_t pid, char *buf, size_t size)
{
	char path[PATH_BYTES];
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	f = fopen(path, "re");
	if (f) {
		n = fread(buf, 1, size - 1, f);
		fclose(f);
	}
	while (n && !buf[n - 1])
		n--;
	buf[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (!buf[i])
			buf[i] = ' ';
		else if ((unsigned char)buf[i] < ' ' || buf[i] == '\x7f')
			buf[i] = '?';
}

static void describe(pid_t pid, struct mr_xdp_owner *owner)
{
	char path[PATH_BYTES], comm[32] = "";

	*owner = (struct mr_xdp_owner){ .pid = pid };
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	read_value(path, "", comm, sizeof(comm));
	owner->millrace = !strncmp(comm, "millrace", strlen("millrace"));
	owner->ending = !strcmp(comm, MR_KEEPER_ENDING);
	read_command(pid, owner->command, sizeof(owner->command));
	if (!*owner->command)
		snprintf(owner->command, sizeof(owner->command), "%s", comm);
}

bool mr_xdp_owner_find(int ifindex, struct mr_xdp_owner *owner)
{
	DIR *proc = opendir("/proc");
	const struct dirent *e;
	bool found = false;

	if (!proc)
		return false;
	while (!found && (e = readdir(proc))) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

		if (pid <= 0 || pid == getpid() || !same_network(pid) || !has_link_on(pid, ifindex))
			continue;
		describe(pid, owner);
		found = true;
	}
	closedir(proc);
	return found;
}
