/* SPDX-License-Identifier: BSD-2-Clause */
/* commands.h - the commands of `millrace`. argv[0] is "millrace <command>". Returns the exit status. */
#ifndef MR_CLI_COMMANDS_H
#define MR_CLI_COMMANDS_H

int cmd_run(int argc, char **argv);
int cmd_ss(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_nc(int argc, char **argv);
int cmd_echo(int argc, char **argv);

#endif
