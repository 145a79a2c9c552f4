#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "self.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	int enters_containers; /* then it must run from a read-only mount */
} commands[] = {
	{ "spawner", command_spawner, 1 },
	{ "cleanup", command_cleanup, 0 },
	{ "layer-apply", command_layer_apply, 0 },
	{ "layer-diff", command_layer_diff, 0 },
	{ "changes", command_changes, 0 },
	{ "archive-get", command_archive_get, 0 },
	{ "archive-put", command_archive_put, 0 },
	{ "archive-stat", command_archive_stat, 0 },
	{ "mount-overlay", command_mount_overlay, 0 },
	{ "umount", command_umount, 0 },
	{ "volume-pack", command_volume_pack, 0 },
	{ "volume-unpack", command_volume_unpack, 0 },
	{ "volume-place", command_volume_place, 0 },
	{ "resolve-user", command_resolve_user, 0 },
	{ "check-userns", command_check_userns, 0 },
	{ "check-storage-limit", command_check_storage_limit, 0 },
	{ "features", command_features, 0 },
	{ "watch-tables", command_watch_tables, 0 },
	{ "forget-flows", command_forget_flows, 0 },
	{ "change-elements", command_change_elements, 0 },
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
