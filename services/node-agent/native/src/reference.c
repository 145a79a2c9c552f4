#include "reference.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extract.h"
#include "io.h"
#include "path.h"

static const char STEP[] = "unpack";

int reference_link(int base, const struct tar_entry *entry, int parent, const char *name, struct err *err)
{
	char path[PATH_MAX], last[NAME_MAX + 1];

	if (clean_name(entry->base, path) < 0 || path[0] == '\0')
		return err_set(err, EPERM, STEP, "%s: refers to \"%s\", which is outside the earlier copy", entry->path, entry->base);
	CLEANUP_CLOSE int folder = root_parent(base, path, 0, last);
	struct stat info;
	if (folder < 0 || fstatat(folder, last, &info, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, STEP, "%s: find %s of the earlier copy", entry->path, path);
	if (!S_ISREG(info.st_mode))
		return err_set(err, EPERM, STEP, "%s: refers to %s, which is no file", entry->path, path);
	return linkat(folder, last, parent, name, 0) < 0 ? err_sys(err, STEP, "%s: link %s of the earlier copy", entry->path, path) : 0;
}

static int copy_piece(int from, int to, off_t at, off_t end, const struct tar_entry *entry, struct err *err)
{
	off_t out = at;

	while (at < end) {
		ssize_t count = copy_file_range(from, &at, to, &out, (size_t)(end - at), 0);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return err_sys(err, STEP, "%s: copy", entry->path);
		/* It has become shorter; what is missing reads as zeros. */
		if (count == 0)
			break;
	}
	return 0;
}

int reference_copy(int base, const struct tar_entry *entry, int file, struct err *err)
{
	struct stat info;
	/* Non-blocking, should the name have become a FIFO since. */
	CLEANUP_CLOSE int from = root_open(base, entry->base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0, RESOLVE_NO_SYMLINKS);

	if (from < 0 || fstat(from, &info) < 0)
		return err_sys(err, STEP, "%s: open %s", entry->path, entry->base);
	if (!S_ISREG(info.st_mode))
		return err_set(err, EAGAIN, STEP, "%s changed while it was copied", entry->base);
	if (ioctl(file, FICLONE, from) == 0)
		return 0;
	for (off_t at = 0; at < info.st_size;) {
		off_t data = lseek(from, at, SEEK_DATA);
		off_t hole = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);

		if (data < 0 && errno == ENXIO)
			break;
		if (data < 0)
			data = at;
		if (hole < 0)
			hole = info.st_size;
		if (copy_piece(from, file, data, hole, entry, err) < 0)
			return -1;
		at = hole;
	}
	return ftruncate(file, info.st_size) < 0 ? err_sys(err, STEP, "%s: set its size", entry->path) : 0;
}
