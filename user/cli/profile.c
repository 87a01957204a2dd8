// SPDX-License-Identifier: BSD-2-Clause
/*
 * profile.c - options from a profile and from the environment, as if they stood on the command line.
 * Called by   run.c, before it parses its arguments.
 */
#include "cli/profile.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "cli/args.h"

static void add(char ***list, int *n, char *arg)
{
	char **more = realloc(*list, (size_t)(*n + 2) * sizeof(*more));

	if (!more || !arg) {
		fputs("millrace run: out of memory\n", stderr);
		exit(argp_err_exit_status);
	}
	more[(*n)++] = arg;
	more[*n] = NULL;
	*list = more;
}

static char *option_text(const char *name, const char *value)
{
	char *text;

	if (asprintf(&text, "--%s%s%s", name, value ? "=" : "", value ?: "") < 0)
		return NULL;
	return text;
}

/* The option of this name, here or in one of the children. */
static const struct argp_option *find_option(const struct argp *argp, const char *name)
{
	const struct argp_option *o;

	for (o = argp->options; o && (o->name || o->key || o->doc); o++)
		if (o->name && !strcmp(o->name, name))
			return o;
	for (const struct argp_child *c = argp->children; c && c->argp; c++) {
		o = find_option(c->argp, name);
		if (o)
			return o;
	}
	return NULL;
}

/* ---- Profiles -------------------------------------------------------------------------------- */

static char *trim(char *text)
{
	char *end;

	text[strcspn(text, "#\n")] = '\0';
	while (isspace((unsigned char)*text))
		text++;
	end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return text;
}

static int read_line(char *text, const struct argp *argp, char ***list, int *n)
{
	const struct argp_option *o;
	char *value;

	text = trim(text);
	if (!*text)
		return 0;
	value = text + strcspn(text, " \t=");
	if (*value) {
		*value++ = '\0';
		value += strspn(value, " \t=");
	}
	o = find_option(argp, text);
	if (!o || !strcmp(text, "profile") || !o->arg != !*value)
		return -EINVAL;
	add(list, n, option_text(text, o->arg ? value : NULL));
	return 0;
}

int profile_read(const char *path, const struct argp *argp, char ***list, int *n, int *line)
{
	FILE *f = fopen(path, "re");
	size_t size = 0;
	char *text = NULL;
	int err = 0;

	*line = 0;
	if (!f)
		return -errno;
	while (!err && getline(&text, &size, f) >= 0) {
		++*line;
		err = read_line(text, argp, list, n);
	}
	if (ferror(f))
		err = -EIO;
	free(text);
	fclose(f);
	return err;
}

/* A name without a slash is looked for among those that came with the command, as built or installed. */
static void find_profile(const char *name, char *buf, size_t size)
{
	static const char *const places[] = { "/../share/millrace/profiles",
					      "/../scripts/profiles" };
	char dir[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);

	dir[n > 0 ? n : 0] = '\0';
	if (strrchr(dir, '/'))
		*strrchr(dir, '/') = '\0';
	for (unsigned i = 0; !strchr(name, '/') && i < MR_ARRAY_SIZE(places); i++) {
		snprintf(buf, size, "%s%s/%s", dir, places[i], name);
		if (!access(buf, R_OK))
			return;
	}
	snprintf(buf, size, "%s", name);
}

static void add_profile(const char *name, const struct argp *argp, char ***list, int *n)
{
	char path[2 * PATH_MAX];
	int err, line;

	find_profile(name, path, sizeof(path));
	err = profile_read(path, argp, list, n, &line);
	if (err == -EINVAL)
		fprintf(stderr,
			"millrace run: line %d of profile %s is not an option with its value, such "
			"as "
			"\"spin 20\": correct it\n",
			line, path);
	else if (err)
		fprintf(stderr,
			"millrace run: cannot read the profile %s (%s): choose redis, nginx, "
			"memcached, "
			"haproxy or iperf3, or give the path of a file\n",
			path, strerror(-err));
	if (err)
		exit(argp_err_exit_status);
}

/* ---- Environment and command line ------------------------------------------------------------ */

static const char *environment(const char *option)
{
	char name[64] = "MILLRACE_";
	size_t len = strlen(name);

	for (; *option && len < sizeof(name) - 1; option++)
		name[len++] = *option == '-' ? '_' : (char)toupper((unsigned char)*option);
	name[len] = '\0';
	return getenv(name);
}

static void add_environment(const struct argp *argp, char ***list, int *n)
{
	for (const struct argp_option *o = argp->options; o && (o->name || o->key || o->doc); o++) {
		const char *value = o->name ? environment(o->name) : NULL;

		if (!value || !*value || !strcmp(o->name, "profile"))
			continue;
		if (o->arg)
			add(list, n, option_text(o->name, value));
		else if (strcmp(value, "0") != 0)
			add(list, n, option_text(o->name, NULL));
	}
	for (const struct argp_child *c = argp->children; c && c->argp; c++)
		add_environment(c->argp, list, n);
}

/* --profile on the command line, before the program; it comes first, wherever it stands. */
static const char *named_profile(int argc, char **argv, const struct argp *argp)
{
	const char *name = environment("profile");

	for (int i = 1; i < argc && argv[i][0] == '-' && strcmp(argv[i], "--") != 0; i++) {
		const struct argp_option *o = NULL;

		if (!strncmp(argv[i], "--profile=", 10)) {
			name = argv[i] + 10;
		} else if (!strncmp(argv[i], "--", 2)) {
			o = find_option(argp, argv[i] + 2);
			if (!strcmp(argv[i], "--profile") && i + 1 < argc)
				name = argv[i + 1];
		}
		/* An option's value is not the program. */
		if ((o && o->arg) || !strcmp(argv[i], "-i") || !strcmp(argv[i], "-a"))
			i++;
	}
	return name && *name ? name : NULL;
}

char **run_arguments(int argc, char **argv, const struct argp *argp, int *all_argc)
{
	const char *profile = named_profile(argc, argv, argp);
	char **all = NULL;

	*all_argc = 0;
	add(&all, all_argc, argv[0]);
	if (profile)
		add_profile(profile, argp, &all, all_argc);
	add_environment(argp, &all, all_argc);
	for (int i = 1; i < argc; i++)
		add(&all, all_argc, argv[i]);
	return all;
}
