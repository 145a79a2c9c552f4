#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "extract.h"

enum { MAX_DEPTH = 2048 };

/* Depth is bounded: an image's own nesting is limited by the length of a path. */
static int remove_at(int parent, const char *name, int depth)
{
	struct dirent *entry;

	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0)
		return 0;
	if ((errno != ENOTEMPTY && errno != EEXIST) || depth > MAX_DEPTH)
		return -1;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	if (!directory) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	int result = 0;
	while (result == 0 && (entry = readdir(directory)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			result = remove_at(fd, entry->d_name, depth + 1);
	closedir(directory);
	return result < 0 ? -1 : unlinkat(parent, name, AT_REMOVEDIR);
}

int remove_tree(int parent, const char *name)
{
	return remove_at(parent, name, 0);
}
