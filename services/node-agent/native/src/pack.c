#include "pack-walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "io.h"

enum { MAX_DEPTH = 2048 };

static const char STEP[] = "pack";

static const char *earlier_link(struct walk *walk, const struct stat *info, const char *path, struct err *err)
{
	for (size_t index = 0; index < walk->link_count; index++)
		if (walk->links[index].inode == info->st_ino && walk->links[index].device == info->st_dev)
			return walk->links[index].path;
	if ((walk->link_count & (walk->link_count - 1)) == 0) {
		struct link *grown = realloc(walk->links, (walk->link_count ? walk->link_count * 2 : 1) * sizeof(*grown));

		if (!grown) {
			err_set(err, ENOMEM, STEP, "out of memory");
			return NULL;
		}
		walk->links = grown;
	}
	char *copy = strdup(path);
	if (!copy)
		err_set(err, ENOMEM, STEP, "out of memory");
	else
		walk->links[walk->link_count++] = (struct link){ info->st_dev, info->st_ino, copy };
	return NULL;
}

/* File capabilities and "user." attributes travel; of a volume also ACLs and what only root may set. Those of a security module stay. */
static int travels(const struct walk *walk, const char *name)
{
	if (strcmp(name, "security.capability") == 0)
		return 1;
	if (walk->options->volume)
		return volume_keeps_xattr(name);
	return strncmp(name, "user.", 5) == 0 && strncmp(name, "user.overlay.", 13) != 0;
}

static int read_xattrs(struct walk *walk, int fd, int *opaque, struct err *err)
{
	ssize_t size = flistxattr(fd, walk->xattr_names, sizeof(walk->xattr_names));
	size_t used = 0;
	char letter;

	*opaque = walk->options->overlay && fgetxattr(fd, "trusted.overlay.opaque", &letter, 1) == 1 && letter == 'y';
	walk->entry.xattr_count = 0;
	if (size < 0)
		return errno == ENOTSUP || errno == EBADF ? 0 : err_sys(err, STEP, "%s: list attributes", walk->entry.path);
	for (char *name = walk->xattr_names; name < walk->xattr_names + size; name += strlen(name) + 1) {
		if (!travels(walk, name))
			continue;
		ssize_t length = fgetxattr(fd, name, walk->xattr_values + used, sizeof(walk->xattr_values) - used);
		if (length < 0 || walk->entry.xattr_count == TAR_MAX_XATTRS)
			return err_sys(err, STEP, "%s: attribute %s", walk->entry.path, name);
		walk->entry.xattrs[walk->entry.xattr_count++] = (struct tar_xattr){ name, walk->xattr_values + used, (size_t)length };
		used += (size_t)length;
	}
	return 0;
}

/* Without a time: a mark has none worth keeping, and the same tree is to give the same bytes. */
static int write_whiteout(struct walk *walk, const char *folder, const char *name, struct err *err)
{
	struct tar_entry *entry = &walk->entry;

	memset(entry, 0, sizeof(*entry));
	entry->type = '0';
	if ((size_t)snprintf(entry->path, sizeof(entry->path), "%s%s.wh.%s", folder, *folder ? "/" : "", name) >= sizeof(entry->path))
		return err_set(err, ENAMETOOLONG, STEP, "%s/%s: path too long", folder, name);
	return tar_write_header(walk->writer, entry, err);
}

static int fill_entry(struct walk *walk, int parent, const char *name, const char *path, const struct stat *info, struct err *err)
{
	struct tar_entry *entry = &walk->entry;

	memset(entry, 0, sizeof(*entry));
	if ((size_t)snprintf(entry->path, sizeof(entry->path), "%s%s", path, S_ISDIR(info->st_mode) && strcmp(path, "/") != 0 ? "/" : "") >= sizeof(entry->path))
		return err_set(err, ENAMETOOLONG, STEP, "%s: path too long", path);
	entry->mode = info->st_mode & 07777;
	entry->uid = info->st_uid;
	entry->gid = info->st_gid;
	entry->mtime = info->st_mtim.tv_sec;
	entry->mtime_ns = walk->options->volume ? (uint32_t)info->st_mtim.tv_nsec : 0;
	entry->type = S_ISDIR(info->st_mode) ? '5' : S_ISLNK(info->st_mode) ? '2' : S_ISCHR(info->st_mode) ? '3'
		    : S_ISBLK(info->st_mode) ? '4' : S_ISFIFO(info->st_mode) ? '6' : '0';
	if (entry->type == '0')
		entry->size = (uint64_t)info->st_size;
	if (entry->type == '3' || entry->type == '4') {
		entry->major = major(info->st_rdev);
		entry->minor = minor(info->st_rdev);
	}
	if (entry->type == '2') {
		ssize_t length = readlinkat(parent, name, entry->link, sizeof(entry->link) - 1);

		if (length < 0)
			return err_sys(err, STEP, "%s: read the link", path);
	}
	return 0;
}

static int pack_at(struct walk *walk, int parent, const char *name, const char *path, int depth, struct err *err);

static int pack_children(struct walk *walk, int folder, const char *path, int depth, struct err *err)
{
	struct name_list list;
	int result = names_read(folder, &list, err);

	for (size_t index = 0; result == 0 && index < list.count; index++) {
		size_t size = strlen(path) + strlen(list.names[index]) + 2;
		char *child = malloc(size);

		if (!child) {
			result = err_set(err, ENOMEM, STEP, "out of memory");
			break;
		}
		snprintf(child, size, "%s%s%s", path, *path && strcmp(path, "/") != 0 ? "/" : "", list.names[index]);
		result = pack_at(walk, folder, list.names[index], child, depth + 1, err);
		free(child);
	}
	names_free(&list);
	return result;
}

static int pack_folder(struct walk *walk, int folder, const char *path, int opaque, int depth, struct err *err)
{
	if (*path && tar_write_header(walk->writer, &walk->entry, err) < 0)
		return -1;
	if (opaque && write_whiteout(walk, path, ".wh..opq", err) < 0)
		return -1;
	return pack_children(walk, folder, path, depth, err);
}

static int pack_at(struct walk *walk, int parent, const char *name, const char *path, int depth, struct err *err)
{
	struct stat info;
	int opaque = 0;

	if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, STEP, "%s", path);
	if (S_ISSOCK(info.st_mode) || depth > MAX_DEPTH)
		return S_ISSOCK(info.st_mode) ? 0 : err_set(err, ELOOP, STEP, "%s: nested too deeply", path);
	if (walk->options->overlay && S_ISCHR(info.st_mode) && info.st_rdev == 0) {
		const char *slash = strrchr(path, '/');
		char folder[PATH_MAX];

		snprintf(folder, sizeof(folder), "%.*s", (int)(slash ? slash - path : 0), path);
		return write_whiteout(walk, folder, name, err);
	}
	if (fill_entry(walk, parent, name, path, &info, err) < 0)
		return -1;
	if (!S_ISDIR(info.st_mode) && info.st_nlink > 1) {
		const char *earlier = earlier_link(walk, &info, path, err);

		if (earlier) {
			walk->entry.type = '1';
			walk->entry.size = 0;
			snprintf(walk->entry.link, sizeof(walk->entry.link), "%s", earlier);
			return tar_write_header(walk->writer, &walk->entry, err);
		}
	}
	if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
		return tar_write_header(walk->writer, &walk->entry, err);
	/* Non-blocking, should the name have become a FIFO since. */
	CLEANUP_CLOSE int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat opened;
	if (fd < 0 || fstat(fd, &opened) < 0)
		return errno == ENOENT ? 0 : err_sys(err, STEP, "%s: open", path);
	if ((opened.st_mode & S_IFMT) != (info.st_mode & S_IFMT))
		return err_set(err, EAGAIN, STEP, "%s changed while it was read", path);
	if (read_xattrs(walk, fd, &opaque, err) < 0)
		return -1;
	if (S_ISDIR(info.st_mode))
		return pack_folder(walk, fd, path, opaque, depth, err);
	walk->entry.size = (uint64_t)opened.st_size;
	return pack_file(walk, fd, &opened, err);
}

int pack(struct tar_writer *writer, int parent, const char *name, const struct pack_options *options, struct err *err)
{
	struct walk *walk = calloc(1, sizeof(*walk));

	if (!walk)
		return err_set(err, ENOMEM, STEP, "out of memory");
	walk->writer = writer;
	walk->options = options;
	int result = pack_at(walk, parent, name, options->prefix, 0, err);
	for (size_t index = 0; index < walk->link_count; index++)
		free(walk->links[index].path);
	free(walk->links);
	free(walk);
	return result;
}
