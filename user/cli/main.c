// SPDX-License-Identifier: BSD-2-Clause
/* main.c - `millrace COMMAND ...`: find the command and run it. */
#include <argp.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "cli/args.h"
#include "cli/commands.h"

static int cmd_version(int argc, char **argv);
static int cmd_help(int argc, char **argv);

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *text;
} commands[] = {
	{ "run", cmd_run, "run an unmodified program on the user-space stack" },
	{ "ss", cmd_ss, "list the sockets of programs started with run" },
	{ "inspect", cmd_inspect, "show these sockets in detail, from file to device" },
	{ "serve", cmd_serve, "serve the files of a directory over HTTP" },
	{ "nc", cmd_nc, "connect standard input and output to a TCP connection" },
	{ "echo", cmd_echo, "send back received data" },
	{ "version", cmd_version, "print the version" },
	{ "help", cmd_help, "print this text, or the help of a command" },
};

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < MR_ARRAY_SIZE(commands); i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

/* argv[0] becomes "millrace serve", so that messages and help texts name the command. */
static int run(const struct command *cmd, int argc, char **argv)
{
	char name[32];

	snprintf(name, sizeof(name), "millrace %s", cmd->name);
	argv[0] = name;
	return cmd->run(argc, argv);
}

static int too_much(const char *word)
{
	fprintf(stderr, "millrace: \"%s\" is too much: \"millrace help\" shows the usage\n", word);
	return CLI_USAGE;
}

static int cmd_version(int argc, char **argv)
{
	if (argc > 1)
		return too_much(argv[1]);
	puts("millrace " MR_VERSION);
	return CLI_OK;
}

static void print_help(FILE *out)
{
	fputs("millrace - a TCP/IP stack in user space over XDP and AF_XDP\n\n"
	      "usage: millrace COMMAND [OPTION...]\n\n",
	      out);
	for (size_t i = 0; i < MR_ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].text);
	fputs("\n\"millrace COMMAND --help\" lists the options of a command. Examples:\n\n"
	      "  millrace run -i eth0 -- redis-server --bind 0.0.0.0\n"
	      "  millrace serve -i eth0 --address 10.0.0.5/24 /srv/www\n",
	      out);
}

static int unknown(const char *name)
{
	fprintf(stderr, "millrace: unknown command \"%s\": \"millrace help\" lists them\n", name);
	return CLI_USAGE;
}

static int cmd_help(int argc, char **argv)
{
	static char help_option[] = "--help";
	const struct command *cmd;
	char *help_argv[] = { NULL, help_option, NULL };

	if (argc < 2 || !strcmp(argv[1], "--help")) {
		print_help(stdout);
		return CLI_OK;
	}
	if (argc > 2)
		return too_much(argv[2]);
	cmd = find(argv[1]);
	if (!cmd)
		return unknown(argv[1]);
	if (cmd->run == cmd_help || cmd->run == cmd_version) {
		print_help(stdout);
		return CLI_OK;
	}
	return run(cmd, 2, help_argv);
}

/* Whoever started us may have closed the standard descriptors: then the engine's would take their
 * numbers, and messages would go into a ring or a map. */
static bool fill_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	const struct command *cmd;

	if (!fill_standard_descriptors())
		return CLI_FAILED; /* and nowhere to say it */
	argp_err_exit_status = CLI_USAGE;
	if (argc < 2) {
		print_help(stderr);
		return CLI_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		print_help(stdout);
		return CLI_OK;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
		return cmd_version(argc - 1, argv + 1);
	cmd = find(argv[1]);
	return cmd ? run(cmd, argc - 1, argv + 1) : unknown(argv[1]);
}
