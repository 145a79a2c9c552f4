#include "storage-limit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "commands.h"
#include "extract.h"
#include "failpoint.h"
#include "io.h"
#include "project-quota.h"

/* Ids from 2^30 on: operators and other programs count theirs from 1. The stride is odd: it comes to every id. */
enum { FIRST = 1 << 30, COUNT = 1 << 30, STRIDE = 40503 * 2 + 1, ATTEMPTS = 64, BLOCK = 512 };

/* More than any file system asks to be free before it makes the overlay's work folder; without that the overlay is read-only. */
static const uint64_t SLACK = 16 << 20;

static const char STEP[] = "limit storage";

static const char *file_system(int folder)
{
	static const struct { unsigned magic; const char *name; } known[] = {
		{ XFS_SUPER_MAGIC, "xfs" }, { EXT4_SUPER_MAGIC, "ext4" }, { BTRFS_SUPER_MAGIC, "btrfs" }, { TMPFS_MAGIC, "tmpfs" },
		{ F2FS_SUPER_MAGIC, "f2fs" }, { NFS_SUPER_MAGIC, "nfs" }, { OVERLAYFS_SUPER_MAGIC, "overlay" }, { 0x2fc12fc1, "zfs" },
	};
	struct statfs info;

	if (fstatfs(folder, &info) == 0)
		for (size_t index = 0; index < sizeof(known) / sizeof(*known); index++)
			if ((unsigned)info.f_type == known[index].magic)
				return known[index].name;
	return "another file system";
}

const char *storage_limit_support(int folder, char *why, size_t size)
{
	const char *name = file_system(folder);
	int xfs = strcmp(name, "xfs") == 0, state;
	struct project_use use;

	why[0] = '\0';
	if (!xfs && strcmp(name, "ext4") != 0) {
		snprintf(why, size, "its data root is on %s, and only xfs and ext4 are used for it", name);
		return name;
	}
	state = project_quota_state(-1);
	if (state < 0 && errno == ENOSYS)
		snprintf(why, size, "its kernel has no quotas by descriptor (Linux 5.14 with CONFIG_QUOTA and CONFIG_QUOTACTL)");
	else if ((state = project_quota_state(folder)) <= 0)
		snprintf(why, size, xfs ? "its data root is on xfs that is mounted without prjquota" :
			 "its data root is on ext4 without project quotas (features project and quota, mounted with prjquota)");
	else if (state == 1)
		snprintf(why, size, "its data root is on %s that counts projects and holds no limits (mount it with prjquota)", name);
	else if (project_use(folder, FIRST, &use) < 0)
		snprintf(why, size, "the agent cannot read quotas of its data root (%s)", errno_name(errno));
	return name;
}

static int is_empty(int folder)
{
	struct dirent *entry;
	int own = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), empty = 1;
	DIR *directory = own < 0 ? NULL : fdopendir(own);

	if (!directory) {
		if (own >= 0)
			close(own);
		return -1;
	}
	while (empty && (entry = readdir(directory)))
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	closedir(directory);
	return empty;
}

static int is_ours(uint32_t id)
{
	return id >= FIRST && id - FIRST < COUNT;
}

/*
 * A project for an empty folder that nothing else counts on. The file system itself says which ids are taken; of two that choose the
 * same one at the same time, in whatever process, at least one sees the other, for each counts before it looks.
 */
static int claim(int folder, uint32_t *id, struct err *err)
{
	struct project_use use;
	struct stat info;
	uint32_t before;
	int inherited;

	if (fstat(folder, &info) < 0 || project_get(folder, &before, &inherited) < 0)
		return err_sys(err, STEP, "read the project of the work folder");
	if (is_ours(before)) /* of an attempt that was cut off */
		before = 0;
	for (uint64_t attempt = 0; attempt < ATTEMPTS; attempt++) {
		*id = FIRST + (uint32_t)((info.st_ino + attempt * STRIDE) % COUNT);
		if (project_set(folder, before, inherited) < 0)
			return err_sys(err, STEP, "give the work folder project %u", before);
		if (project_use(folder, *id, &use) < 0)
			return err_sys(err, STEP, "read what counts on project %u", *id);
		if (use.limited || use.inodes || use.blocks)
			continue;
		if (project_set(folder, *id, 1) < 0)
			return err_sys(err, STEP, "give the work folder project %u", *id);
		failpoint("limit.1-claimed");
		if (project_use(folder, *id, &use) < 0)
			return err_sys(err, STEP, "read what counts on project %u", *id);
		if (!use.limited && use.inodes == 1)
			return 0;
	}
	project_set(folder, before, inherited);
	return err_set(err, EBUSY, STEP, "%d projects of this file system that were tried are in use", ATTEMPTS);
}

static int settle(const struct plan *plan, int upper, int work, uint32_t *id, struct err *err)
{
	int untouched = is_empty(upper) == 1, unmounted = untouched && is_empty(work) == 1, inherited;
	uint32_t above;

	if (project_get(work, id, &inherited) < 0 || project_get(upper, &above, &inherited) < 0)
		return err_sys(err, STEP, "read the project of %s", plan->work);
	if (!is_ours(*id) || (unmounted && above != *id)) {
		/* An overlay that was only read, for the users of another runtime's container, has left its folder. */
		if (!untouched || remove_tree(work, "work") < 0 || is_empty(work) != 1)
			return err_set(err, ENOTEMPTY, STEP, "%s has files that no project counts, as after a copy of the data root; remove the container",
				       plan->upper);
		if (claim(work, id, err) < 0)
			return -1;
	}
	if ((above != *id || !inherited) && project_set(upper, *id, 1) < 0)
		return err_sys(err, STEP, "give %s project %u", plan->upper, *id);
	failpoint("limit.2-settled");
	return 0;
}

static int set_limit(int work, uint32_t id, uint64_t bytes, struct err *err)
{
	if (project_limit(work, id, bytes / BLOCK + (bytes % BLOCK != 0)) < 0)
		return err_sys(err, STEP, "project %u, %llu bytes", id, (unsigned long long)bytes);
	return 0;
}

int storage_limit_prepare(const struct plan *plan, struct err *err)
{
	uint32_t id;
	char why[200];

	if (!plan->storage_limit)
		return 0;
	CLEANUP_CLOSE int work = open(plan->work, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	CLEANUP_CLOSE int upper = open(plan->upper, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (work < 0 || upper < 0)
		return err_sys(err, STEP, "%s", work < 0 ? plan->work : plan->upper);
	storage_limit_support(work, why, sizeof(why));
	if (why[0])
		return err_set(err, EOPNOTSUPP, STEP, "the host cannot limit it: %s", why);
	if (settle(plan, upper, work, &id, err) < 0 || set_limit(work, id, plan->storage_limit + SLACK, err) < 0)
		return -1;
	failpoint("limit.3-prepared");
	return 0;
}

int storage_limit_hold(const struct plan *plan, struct err *err)
{
	uint32_t id;
	int inherited;

	if (!plan->storage_limit)
		return 0;
	CLEANUP_CLOSE int work = open(plan->work, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (work < 0 || project_get(work, &id, &inherited) < 0 || !is_ours(id))
		return err_sys(err, STEP, "read the project of %s", plan->work);
	if (set_limit(work, id, plan->storage_limit, err) < 0)
		return -1;
	failpoint("limit.4-held");
	return 0;
}

int storage_limit_lift(int tree, const char *name, struct err *err)
{
	CLEANUP_CLOSE int folder = openat(tree, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	uint32_t id;
	int inherited;

	if (folder < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : err_sys(err, STEP, "%s", name);
	/* A file system without projects has none to lift, and one whose quotas are off holds none. */
	if (project_get(folder, &id, &inherited) < 0 || !is_ours(id) || project_limit(folder, id, 0) == 0 || errno == ENOSYS || errno == ESRCH)
		return 0;
	return err_sys(err, STEP, "take the limit of project %u away", id);
}

int command_check_storage_limit(int argc, char **argv)
{
	struct err err = { 0 };
	char why[200];
	CLEANUP_CLOSE int folder = argc == 1 ? open(argv[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (folder < 0) {
		if (argc == 1)
			err_sys(&err, STEP, "%s", argv[0]);
		else
			err_set(&err, EINVAL, "arguments", "usage: atoll-shim check-storage-limit <folder>");
		err_report(&err, 2);
		return 1;
	}
	const char *name = storage_limit_support(folder, why, sizeof(why));
	printf("{\"fileSystem\":\"%s\",\"missing\":\"%s\"}\n", name, why);
	return 0;
}
