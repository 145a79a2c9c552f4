#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "io.h"

static const char STEP[] = "place volume";

static int sync_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];

	snprintf(folder, sizeof(folder), "%.*s", (int)(slash ? slash - path : 1), slash ? path : ".");
	CLEANUP_CLOSE int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -1 : fsync(fd);
}

/* One rename: whoever looks sees the old folder or the new one, also after a power cut. */
static int place(int argc, char **argv, struct err *err)
{
	int replace = argc == 3 && strcmp(argv[2], "--replace") == 0;

	if (argc != 2 && !replace)
		return err_set(err, EINVAL, "arguments", "usage: atoll-shim volume-place <folder> <place> [--replace]");
	int result = renameat2(AT_FDCWD, argv[0], AT_FDCWD, argv[1], RENAME_NOREPLACE);
	/* What was there is then at the other's place. */
	if (result < 0 && errno == EEXIST && replace)
		result = renameat2(AT_FDCWD, argv[0], AT_FDCWD, argv[1], RENAME_EXCHANGE);
	if (result < 0)
		return err_sys(err, STEP, "%s", argv[1]);
	return sync_parent(argv[1]) < 0 || sync_parent(argv[0]) < 0 ? err_sys(err, STEP, "sync %s", argv[1]) : 0;
}

int command_volume_place(int argc, char **argv)
{
	struct err err = { 0 };

	if (place(argc, argv, &err) == 0)
		return 0;
	err_report(&err, 2);
	return 1;
}
