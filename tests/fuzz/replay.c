// SPDX-License-Identifier: BSD-2-Clause
/*
 * replay.c - run a fuzz target on files instead of mutations; needs no libFuzzer.
 *
 *	TARGET [FILE...]
 *
 * Without arguments: all of tests/fuzz/corpus/TARGET/, as one TAP case. An input that finds something
 * ends the process by a signal; its name is the last line then.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <string.h>
#include "fuzz.h"

#define CORPUS	  "tests/fuzz/corpus"
#define INPUT_MAX (1u << 20)

/* In memory of exactly its size, so that ASan sees a read behind it. */
static void run_file(const char *path)
{
	static uint8_t buf[INPUT_MAX];
	FILE *f = fopen(path, "rb");
	uint8_t *exact;
	size_t n;

	if (!f)
		err(1, "%s", path);
	n = fread(buf, 1, sizeof(buf), f);
	if (ferror(f))
		err(1, "%s", path);
	fclose(f);
	exact = malloc(n ? n : 1);
	if (!exact)
		err(1, "malloc");
	memcpy(exact, buf, n);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
}

static int not_hidden(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int run_corpus(const char *target)
{
	struct dirent **names;
	char path[1024];
	int n;

	snprintf(path, sizeof(path), CORPUS "/%s", target);
	n = scandir(path, &names, not_hidden, alphasort);
	if (n < 0)
		err(1, "%s", path);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), CORPUS "/%s/%s", target, names[i]->d_name);
		printf("# %s\n", path);
		fflush(stdout);
		run_file(path);
		free(names[i]);
	}
	free(names);
	printf("%s 1 - %s: %d inputs of the corpus\n1..1\n", n ? "ok" : "not ok", target, n);
	return n ? 0 : 1;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');

	if (argc == 1)
		return run_corpus(slash ? slash + 1 : argv[0]);
	for (int i = 1; i < argc; i++)
		run_file(argv[i]);
	return 0;
}
