#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "self.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	int enters_containers; /* then it must run from a read-only mount */
} commands[] = {
	{ "run", command_run, 1 },
	{ "exec", command_exec, 1 },
	{ "cleanup", command_cleanup, 0 },
};

int main(int argc, char **argv)
{
	struct err err = { 0 };

	for (size_t index = 0; argc > 1 && index < sizeof(commands) / sizeof(*commands); index++) {
		if (strcmp(argv[1], commands[index].name) != 0)
			continue;
		if (commands[index].enters_containers && self_seal(argv, &err) < 0) {
			err_report(&err, 1);
			return 1;
		}
		return commands[index].run(argc - 2, argv + 2);
	}
	fprintf(stderr, "usage: atoll-shim <command> [arguments]; the commands are listed in README.md\n");
	return 2;
}
