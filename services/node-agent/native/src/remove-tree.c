#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "extract.h"

/* A descriptor for each level is open: what is deeper is moved up to the top and removed from there. */
enum { MAX_DEPTH = 128 };

struct removal {
	int top;
	unsigned moved;
};

static int move_up(struct removal *removal, int parent, const char *name)
{
	char place[32];

	for (;;) {
		snprintf(place, sizeof(place), ".deep-%u", removal->moved++);
		if (renameat2(parent, name, removal->top, place, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			return -1;
	}
}

/* 0: gone. 1: a folder that is not empty. -1: failed. */
static int remove_one(int parent, const char *name)
{
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0)
		return 0;
	return errno == ENOTEMPTY || errno == EEXIST ? 1 : -1;
}

static int empty(struct removal *removal, int parent, const char *name, int depth)
{
	struct dirent *entry;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	int result = 0;

	if (!directory) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while (result == 0 && (entry = readdir(directory))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		result = remove_one(fd, entry->d_name);
		if (result != 1)
			continue;
		if (depth == MAX_DEPTH)
			result = move_up(removal, fd, entry->d_name);
		else if ((result = empty(removal, fd, entry->d_name, depth + 1)) == 0)
			result = unlinkat(fd, entry->d_name, AT_REMOVEDIR);
	}
	closedir(directory);
	return result;
}

int remove_tree(int parent, const char *name)
{
	struct removal removal = { .top = -1 };
	int result = remove_one(parent, name);
	unsigned before;

	if (result != 1)
		return result;
	removal.top = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (removal.top < 0)
		return -1;
	do {
		before = removal.moved;
		result = empty(&removal, parent, name, 0);
	} while (result == 0 && removal.moved != before);
	close(removal.top);
	return result < 0 ? -1 : unlinkat(parent, name, AT_REMOVEDIR);
}
