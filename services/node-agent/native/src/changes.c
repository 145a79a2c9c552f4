#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "commands.h"
#include "io.h"
#include "pack.h"
#include "path.h"
#include "plan-records.h"

enum { MAX_DEPTH = 2048 };
enum seen { SEEN_NOTHING, SEEN_HERE, SEEN_HIDDEN };

static int is_whiteout(const struct stat *info)
{
	return S_ISCHR(info->st_mode) && info->st_rdev == 0;
}

static int is_opaque(int folder)
{
	char letter;

	return fgetxattr(folder, "trusted.overlay.opaque", &letter, 1) == 1 && letter == 'y';
}

/* Looks for a path in one layer, component by component, as overlay does. */
static enum seen look(int layer, const char *path)
{
	char copy[PATH_MAX], *save = NULL;
	int folder = openat(layer, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum seen result = SEEN_NOTHING;
	int opaque = 0;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *part = strtok_r(copy, "/", &save), *next; part && folder >= 0; part = next) {
		struct stat info;
		CLEANUP_CLOSE int parent = folder;

		folder = -1;
		next = strtok_r(NULL, "/", &save);
		if (fstatat(parent, part, &info, AT_SYMLINK_NOFOLLOW) < 0) {
			result = opaque ? SEEN_HIDDEN : SEEN_NOTHING;
			break;
		}
		if (is_whiteout(&info) || (next && !S_ISDIR(info.st_mode))) {
			result = SEEN_HIDDEN;
			break;
		}
		if (!next) {
			result = SEEN_HERE;
			break;
		}
		folder = openat(parent, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		opaque = folder >= 0 && is_opaque(folder);
	}
	if (folder >= 0)
		close(folder);
	return result;
}

static int exists_below(const int *layers, size_t count, const char *path)
{
	for (size_t index = 0; index < count; index++) {
		enum seen seen = look(layers[index], path);

		if (seen != SEEN_NOTHING)
			return seen == SEEN_HERE;
	}
	return 0;
}

/* "<A|C|D> /path" and a zero byte each; A added, C changed, D deleted. */
static int list(int folder, const char *path, const int *layers, size_t count, int depth, struct err *err)
{
	struct name_list names;
	int result = names_read(folder, &names, err);

	for (size_t index = 0; result == 0 && index < names.count; index++) {
		char child[PATH_MAX], line[PATH_MAX + 8];
		struct stat info;

		if ((size_t)snprintf(child, sizeof(child), "%s/%s", path, names.names[index]) >= sizeof(child) || depth > MAX_DEPTH) {
			result = err_set(err, ENAMETOOLONG, "list changes", "%s: path too long", path);
			break;
		}
		if (fstatat(folder, names.names[index], &info, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		char kind = is_whiteout(&info) ? 'D' : exists_below(layers, count, child) ? 'C' : 'A';
		int length = snprintf(line, sizeof(line), "%c %s", kind, child);
		if (write_all(1, line, (size_t)length + 1) < 0)
			result = err_sys(err, "write answer", "standard output");
		if (result == 0 && S_ISDIR(info.st_mode)) {
			CLEANUP_CLOSE int below = openat(folder, names.names[index], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			result = below < 0 ? 0 : list(below, child, layers, count, depth + 1, err);
		}
	}
	names_free(&names);
	return result;
}

static int changes(int argc, char **argv, struct err *err)
{
	int layers[PLAN_MAX_LOWERS];
	size_t count = 0;

	if (argc < 1)
		return err_set(err, EINVAL, "arguments", "usage: atoll-shim changes <upper folder> <lower folder>…");
	CLEANUP_CLOSE int upper = open(argv[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (upper < 0)
		return err_sys(err, "enter root", "%s", argv[0]);
	for (int index = 1; index < argc && count < PLAN_MAX_LOWERS; index++) {
		layers[count] = open(argv[index], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (layers[count++] < 0)
			return err_sys(err, "enter root", "%s", argv[index]);
	}
	return list(upper, "", layers, count, 0, err);
}

int command_changes(int argc, char **argv)
{
	struct err err = { 0 };

	if (changes(argc, argv, &err) == 0)
		return 0;
	err_report(&err, 2);
	return 1;
}
