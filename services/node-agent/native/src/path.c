#include "path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io.h"

enum { RACE_RETRIES = 64 };

int root_open(int root, const char *path, uint64_t flags, uint64_t mode, uint64_t extra_resolve)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | extra_resolve,
	};

	for (int attempt = 0; attempt < RACE_RETRIES; attempt++) {
		long fd = syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));

		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN && errno != EINTR)
			return -1;
	}
	return -1;
}

int check_component(const char *name)
{
	if (*name == '\0' || strchr(name, '/') || strlen(name) > NAME_MAX || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0) {
		errno = EINVAL;
		return -1;
	}
	return 0;
}

/*
 * Splits "a/b/c" at its last plain component. `head` gets "a/b" (PATH_MAX bytes), `name` gets "c";
 * a path without a last plain component gives the whole path and ".".
 */
static int split(const char *path, char *head, char *name)
{
	size_t end = strlen(path);

	if (end >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	while (end > 0 && path[end - 1] == '/')
		end--;
	size_t start = end;
	while (start > 0 && path[start - 1] != '/')
		start--;
	size_t length = end - start;
	if (length > NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(name, path + start, length);
	name[length] = '\0';
	if (length == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		memcpy(head, path, end);
		head[end] = '\0';
		strcpy(name, ".");
		return 0;
	}
	memcpy(head, path, start);
	head[start] = '\0';
	return 0;
}

int root_mkdirs(int root, const char *path, mode_t mode)
{
	char done[PATH_MAX], rest[PATH_MAX];
	size_t length = strlen(path), at = 0;
	int fd = root_open(root, path, O_PATH | O_DIRECTORY, 0, 0);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	if (length >= sizeof(rest)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	/*
	 * Grow the resolved prefix by one component. The prefix is resolved from the root each time,
	 * so "..", links and racing renames can only ever lead to places inside the root.
	 */
	memcpy(rest, path, length + 1);
	done[0] = '\0';
	char *save = NULL;
	for (char *part = strtok_r(rest, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		CLEANUP_CLOSE int parent = root_open(root, done, O_PATH | O_DIRECTORY, 0, 0);

		if (parent < 0)
			return -1;
		if (strcmp(part, ".") != 0 && strcmp(part, "..") != 0 && mkdirat(parent, part, mode) < 0 &&
		    errno != EEXIST)
			return -1;
		at += (size_t)snprintf(done + at, sizeof(done) - at, "/%s", part);
		if (at >= sizeof(done)) {
			errno = ENAMETOOLONG;
			return -1;
		}
	}
	return root_open(root, path, O_PATH | O_DIRECTORY, 0, 0);
}

int root_parent(int root, const char *path, int make_missing, char *name)
{
	char head[PATH_MAX];

	if (split(path, head, name) < 0)
		return -1;
	if (make_missing)
		return root_mkdirs(root, head, 0755);
	return root_open(root, head, O_PATH | O_DIRECTORY, 0, 0);
}

int root_mount_target(int root, const char *path, int is_directory)
{
	char name[NAME_MAX + 1];
	struct stat info;

	if (is_directory) {
		int directory = root_mkdirs(root, path, 0755);

		return directory;
	}
	int fd = root_open(root, path, O_PATH, 0, 0);
	if (fd < 0 && errno == ENOENT) {
		CLEANUP_CLOSE int parent = root_parent(root, path, 1, name);

		if (parent < 0)
			return -1;
		CLEANUP_CLOSE int made = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (made < 0 && errno != EEXIST)
			return -1;
		fd = root_open(root, path, O_PATH, 0, 0);
	}
	if (fd < 0)
		return -1;
	if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
		close(fd);
		errno = EISDIR;
		return -1;
	}
	return fd;
}

void fd_path(int fd, char *out, size_t size)
{
	snprintf(out, size, "/proc/self/fd/%d", fd);
}
