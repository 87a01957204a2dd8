// SPDX-License-Identifier: BSD-2-Clause
/*
 * run.c - `millrace run -- PROGRAM`: an unmodified program on the user-space stack.
 * Owns        options; the way from this process to the program, which it becomes by exec.
 * Not here    the keeper (run_keeper.c), joining a stack that is there (run_join.c), profiles (profile.c), the shim (user/posix).
 *
 * The program's process is this one: its number, its parent, its signals and its exit status are what they
 * would be without us. Whatever needs a privilege is done by the keeper, a process beside it.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "cli/commands.h"
#include "cli/profile.h"
#include "cli/run.h"

/* As env(1), nohup(1) and timeout(1): the program's own statuses are below. */
enum { RUN_FAILED = 125, RUN_CANNOT_EXECUTE = 126, RUN_NOT_FOUND = 127 };

#define PRELOAD "libmillrace-preload.so"

enum {
	OPT_USER = 0x300,
	OPT_PROFILE,
	OPT_LOG,
	OPT_STRICT,
};

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "Program:", 1 },
	{ "user", OPT_USER, "USER[:GROUP]", 0, "Run the program as this user, without privileges",
	  0 },
	{ "profile", OPT_PROFILE, "NAME|FILE", 0,
	  "Read options from a file; installed profiles: redis, nginx, memcached, haproxy, iperf3",
	  0 },
	{ "log", OPT_LOG, "FILE", 0,
	  "Append messages of the stack to this file, instead of standard error", 0 },
	{ "strict", OPT_STRICT, NULL, 0,
	  "Refuse to run a program that cannot use the stack, instead of running it on the "
	  "kernel's",
	  0 },
	{ 0 },
};

/* ---- Options --------------------------------------------------------------------------------- */

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct run_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &args->common;
		break;
	case OPT_USER:
		args->user = arg;
		break;
	case OPT_PROFILE: /* its options stand in front of these already */
		break;
	case OPT_LOG:
		args->log_path = arg;
		break;
	case OPT_STRICT:
		args->strict = true;
		break;
	case ARGP_KEY_ARG: /* the rest is the program's */
		args->program = state->argv + state->next - 1;
		state->next = state->argc;
		break;
	case ARGP_KEY_END:
		if (!args->program)
			cli_usage_error(state,
					"which program? For example: millrace run -i eth0 -- "
					"redis-server");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp_child children[] = { { .argp = &cli_common_argp }, { 0 } };

static const struct argp argp = {
	.options = options,
	.parser = parse_opt,
	.children = children,
	.args_doc = "-i IF [--] PROGRAM [ARGUMENT...]",
	.doc = "Run a program with its TCP connections on the user-space stack.\v"
	       "Every option may also be set in the environment (--rx-ring as MILLRACE_RX_RING) or "
	       "in a profile. The command line overrides the environment, which overrides the "
	       "profile.",
};

/* ---- Privileges ------------------------------------------------------------------------------ */

struct identity {
	uid_t uid;
	gid_t gid;
	char name[64]; /* for initgroups(); "": keep who we are */
};

static int find_user(const char *text, struct identity *id)
{
	const char *colon = text ? strchr(text, ':') : NULL;
	const struct passwd *pw;
	const struct group *gr;

	*id = (struct identity){ .uid = geteuid(), .gid = getegid() };
	if (!text)
		return 0;
	snprintf(id->name, sizeof(id->name), "%.*s",
		 (int)(colon ? colon - text : (long)strlen(text)), text);
	pw = getpwnam(id->name);
	if (!pw) {
		fprintf(stderr,
			"millrace run: there is no user \"%s\": \"getent passwd\" lists them\n",
			id->name);
		return -ENOENT;
	}
	id->uid = pw->pw_uid;
	id->gid = pw->pw_gid;
	if (!colon)
		return 0;
	gr = getgrnam(colon + 1);
	if (!gr) {
		fprintf(stderr,
			"millrace run: there is no group \"%s\": \"getent group\" lists them\n",
			colon + 1);
		return -ENOENT;
	}
	id->gid = gr->gr_gid;
	return 0;
}

/* Capabilities that a file or an ambient set gave to us are for the keeper. Root keeps what root has. */
static int drop_capabilities(void)
{
	cap_t none;
	int err;

	if (geteuid() == 0)
		return 0;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	none = cap_init();
	if (!none)
		return -ENOMEM;
	err = cap_set_proc(none) < 0 ? -errno : 0;
	cap_free(none);
	return err;
}

static int become(const struct identity *id)
{
	int err;

	if (*id->name &&
	    (initgroups(id->name, id->gid) < 0 || setresgid(id->gid, id->gid, id->gid) < 0 ||
	     setresuid(id->uid, id->uid, id->uid) < 0)) {
		err = -errno;
		fprintf(stderr,
			"millrace run: cannot become user %s (%s): run it as root, or without "
			"--user\n",
			id->name, strerror(-err));
		return err;
	}
	err = drop_capabilities();
	if (err)
		fprintf(stderr,
			"millrace run: the program would keep this command's capabilities, which "
			"cannot be "
			"dropped (%s): run it as root with --user\n",
			strerror(-err));
	return err;
}

/* ---- The program ----------------------------------------------------------------------------- */

/* Where exec would find it; NULL: nowhere, execvp() says so better. */
static char *find_program(const char *name, char *buf, size_t size)
{
	const char *path = getenv("PATH") ?: "/bin:/usr/bin";

	if (strchr(name, '/')) {
		snprintf(buf, size, "%s", name);
		return buf;
	}
	while (*path) {
		size_t len = strcspn(path, ":");

		snprintf(buf, size, "%.*s/%s", (int)len, path, name);
		if (!access(buf, X_OK))
			return buf;
		path += len + (path[len] == ':');
	}
	return NULL;
}

/* A program without an interpreter is linked statically: nothing can be loaded into it. */
static bool is_static(int fd)
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph;

	if (pread(fd, &eh, sizeof(eh), 0) != sizeof(eh) ||
	    memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_ident[EI_CLASS] != ELFCLASS64)
		return false;
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		off_t at = (off_t)(eh.e_phoff + i * eh.e_phentsize);

		if (pread(fd, &ph, sizeof(ph), at) != sizeof(ph) || ph.p_type == PT_INTERP)
			return false;
	}
	return true;
}

/* Go's linker leaves a section of this name, also where the C library is linked. */
static bool is_go(int fd)
{
	char name[sizeof(".go.buildinfo")];
	Elf64_Ehdr eh;
	Elf64_Shdr names, sh;

	if (pread(fd, &eh, sizeof(eh), 0) != sizeof(eh) ||
	    memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    pread(fd, &names, sizeof(names), (off_t)(eh.e_shoff + eh.e_shstrndx * sizeof(names))) !=
		    sizeof(names))
		return false;
	for (unsigned i = 0; i < eh.e_shnum; i++) {
		if (pread(fd, &sh, sizeof(sh), (off_t)(eh.e_shoff + i * sizeof(sh))) != sizeof(sh))
			return false;
		if (pread(fd, name, sizeof(name), (off_t)(names.sh_offset + sh.sh_name)) ==
			    sizeof(name) &&
		    !memcmp(name, ".go.buildinfo", sizeof(name)))
			return true;
	}
	return false;
}

/* Does it get more rights by being executed than its user has? The dynamic linker then loads nothing into it. */
static bool gains_rights(int fd, const struct identity *id)
{
	struct stat st;

	if (fstat(fd, &st))
		return false;
	if ((st.st_mode & S_ISUID && st.st_uid != id->uid) ||
	    (st.st_mode & S_ISGID && st.st_gid != id->gid))
		return true;
	return id->uid && fgetxattr(fd, "security.capability", NULL, 0) > 0;
}

/* What the dynamic linker does not do in silence. False: the program cannot use the stack. */
static bool can_be_run(const char *name, const struct identity *id)
{
	char buf[PATH_MAX];
	const char *why = NULL, *path = find_program(name, buf, sizeof(buf));
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0) /* exec will tell, or it is executable and not readable */
		return true;
	if (gains_rights(fd, id))
		why = "is set-user-ID, set-group-ID or has capabilities, so nothing can be loaded "
		      "into it";
	else if (is_static(fd))
		why = "is linked statically, so nothing can be loaded into it";
	else if (is_go(fd))
		why = "is written in Go, which goes past the C library";
	close(fd);
	if (why)
		fprintf(stderr, "millrace run: %s %s: its own sockets are the kernel's\n", name,
			why);
	return !why;
}

/* Where the library is: beside the command as built, or as installed. */
static int find_preload(char *buf, size_t size)
{
	static const char *const places[] = { "/" PRELOAD, "/../lib/" PRELOAD,
					      "/../lib/millrace/" PRELOAD };
	char dir[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);

	if (n <= 0)
		return -errno;
	dir[n] = '\0';
	*strrchr(dir, '/') = '\0';
	for (unsigned i = 0; i < MR_ARRAY_SIZE(places); i++) {
		snprintf(buf, size, "%s%s", dir, places[i]);
		if (!access(buf, R_OK))
			return 0;
	}
	return -ENOENT;
}

/* Put a value in front of those that a variable has. 0 or -ENOMEM. */
static int put_first(const char *name, const char *value)
{
	const char *others = getenv(name);
	char *all;
	int err;

	if (asprintf(&all, "%s%s%s", value, others && *others ? ":" : "", others ?: "") < 0)
		return -ENOMEM;
	err = setenv(name, all, 1) ? -ENOMEM : 0;
	free(all);
	return err;
}

static int set_environment(const struct run_args *args, const char *stack, const char *preload)
{
	int err = put_first("LD_PRELOAD", preload);

	/* A program with AddressSanitizer in a library of its own does not start behind another library, though it
	 * would work. What its user says of that comes behind, and counts. */
	err = err ?: put_first("ASAN_OPTIONS", "verify_asan_link_order=0");
	if (!err && setenv(MR_SHARE_ENV, stack, 1))
		err = -ENOMEM;
	if (!err && args->strict && setenv("MILLRACE_STRICT", "1", 1))
		err = -ENOMEM;
	return err;
}

static int execute(char **program)
{
	int err;

	execvp(program[0], program);
	err = errno;
	fprintf(stderr, "millrace run: cannot execute %s (%s): %s\n", program[0], strerror(err),
		err == ENOENT ? "check its name, or give its whole path" :
		err == EACCES ? "it must be a file that this user may execute" :
				"\"file\" tells what it is");
	return err == ENOENT ? RUN_NOT_FOUND : RUN_CANNOT_EXECUTE;
}

int cmd_run(int argc, char **argv)
{
	struct run_args args = { .common.shared_by_default = true };
	char preload[PATH_MAX], stack[128];
	struct identity id;
	int all_argc, err;
	char **all;

	argp_err_exit_status = RUN_FAILED;
	all = run_arguments(argc, argv, &argp, &all_argc);
	argp_parse(&argp, all_argc, all, ARGP_IN_ORDER, NULL, &args);
	if (find_user(args.user, &id))
		return RUN_FAILED;
	if (find_preload(preload, sizeof(preload))) {
		fputs("millrace run: " PRELOAD " is neither beside the command nor in ../lib\n",
		      stderr);
		return RUN_FAILED;
	}
	if (!can_be_run(args.program[0], &id) && args.strict)
		return RUN_CANNOT_EXECUTE;
	args.uid = id.uid;
	err = run_join(&args, stack, sizeof(stack));
	if (!err)
		run_tell_joined(&args);
	else if (err == -ENOENT)
		err = run_keeper_start(&args, stack, sizeof(stack));
	if (err)
		return RUN_FAILED;
	if (become(&id))
		return RUN_FAILED;
	if (set_environment(&args, stack, preload)) {
		fputs("millrace run: out of memory\n", stderr);
		return RUN_FAILED;
	}
	return execute(args.program);
}
