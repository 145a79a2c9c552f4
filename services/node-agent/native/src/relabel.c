#include "relabel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "io.h"

static const char STEP[] = "relabel";
static const char ATTRIBUTE[] = "security.selinux";

/* A descriptor for each level is open. */
enum { MAX_DEPTH = 256, LABEL_BYTES = 1024 };

/* 1: it has the label. 0: another, or none. */
static int has_label(int fd, const char *label)
{
	char path[32], found[LABEL_BYTES + 1];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t length = getxattr(path, ATTRIBUTE, found, LABEL_BYTES);
	if (length < 0)
		return 0;
	found[length] = '\0';
	return strcmp(found, label) == 0;
}

int relabel_one(int fd, const char *label)
{
	char path[32];

	if (has_label(fd, label))
		return 0;
	/* Leads to what is open, be it a link. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return setxattr(path, ATTRIBUTE, label, strlen(label) + 1, 0) < 0 && errno != ENOTSUP ? -1 : 0;
}

static int open_at(int parent, const char *name)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};

	return (int)syscall(SYS_openat2, parent, name, &how, sizeof(how));
}

static int walk(int top, const char *name, const char *label, int depth, struct err *err);

static int walk_entries(int folder, const char *label, int depth, struct err *err)
{
	struct dirent *entry;
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);

	if (!directory) {
		if (fd >= 0)
			close(fd);
		return err_sys(err, STEP, "read a folder");
	}
	while (result == 0 && (entry = readdir(directory))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		int child = open_at(fd, entry->d_name);
		/* Gone meanwhile, or a mount of its own. */
		if (child < 0 && (errno == ENOENT || errno == EXDEV))
			continue;
		result = child < 0 ? err_sys(err, STEP, "open %s", entry->d_name) : walk(child, entry->d_name, label, depth + 1, err);
	}
	closedir(directory);
	return result;
}

/* Closes `top`. */
static int walk(int top, const char *name, const char *label, int depth, struct err *err)
{
	CLEANUP_CLOSE int file = top;
	struct stat info;

	if (fstat(file, &info) < 0)
		return err_sys(err, STEP, "%s", name);
	if (S_ISDIR(info.st_mode)) {
		if (depth == MAX_DEPTH)
			return err_set(err, ELOOP, STEP, "%s is in more than %d folders", name, MAX_DEPTH);
		if (walk_entries(file, label, depth, err) < 0)
			return -1;
	}
	return relabel_one(file, label) < 0 ? err_sys(err, STEP, "%s to %s", name, label) : 0;
}

int relabel_tree(const char *path, int exact, const char *label, enum relabel when, struct err *err)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = exact ? RESOLVE_NO_SYMLINKS : 0 };
	int top = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	if (top < 0)
		return err_sys(err, STEP, "open %s", path);
	if (when == RELABEL_ONCE && has_label(top, label)) {
		close(top);
		return 0;
	}
	return walk(top, path, label, 0, err);
}
