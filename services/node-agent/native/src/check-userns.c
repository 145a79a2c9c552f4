#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bundle.h"
#include "commands.h"
#include "creds.h"
#include "io.h"
#include "plan-records.h"
#include "rootfs.h"
#include "userns.h"

static const char STEP[] = "user namespace";

static int check_overlay(const char *folder, int userns, const struct id_map *ids, struct err *err)
{
	char paths[3][PATH_MAX];
	static const char *const names[] = { "lower", "upper", "work" };
	struct text_list lowers = { .count = 0 };
	struct statvfs info;

	for (int index = 0; index < 3; index++) {
		snprintf(paths[index], sizeof(paths[index]), "%s/%s", folder, names[index]);
		if (mkdir(paths[index], 0755) < 0 && errno != EEXIST)
			return err_sys(err, STEP, "make %s", paths[index]);
	}
	if (plan_append(&lowers, paths[0], err) < 0 || creds_make_files_as(ids->uid, ids->gid, err) < 0)
		return -1;
	CLEANUP_CLOSE int root = overlay_mount(&lowers, paths[1], paths[2], NULL, userns, err);
	if (root < 0)
		return -1;
	/* An overlay whose upper folder it cannot write to is made all the same, read-only. */
	if (fstatvfs(root, &info) < 0 || (info.f_flag & ST_RDONLY))
		return err_set(err, EROFS, STEP, "an overlay of layers shown with its ids is read-only");
	return creds_make_files_as(0, 0, err);
}

/* procfs and sysfs can be mounted inside only where the host shows all of its own. */
static int check_inside(struct err *err)
{
	if (userns_become_root(err) < 0)
		return -1;
	CLEANUP_CLOSE int proc = fs_mount("proc", "proc", NULL, 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, NULL, err);
	if (proc < 0)
		return -1;
	CLEANUP_CLOSE int sys = fs_mount("sysfs", "sysfs", NULL, 0, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, NULL, err);
	return sys < 0 ? -1 : 0;
}

/* 0 fine, 1 the process inside has told why not, -1 with err. */
static int check(const char *folder, const struct id_map *ids, struct err *err)
{
	int pidfd, status;
	CLEANUP_CLOSE int userns = userns_make(ids, 0, err);

	if (userns < 0 || check_overlay(folder, userns, ids, err) < 0)
		return -1;
	pid_t pid = userns_clone(userns, -1, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS, -1, &pidfd, err);
	if (pid == 0) {
		int failed = check_inside(err) < 0;

		if (failed)
			err_report(err, 2);
		_exit(failed);
	}
	if (pid < 0)
		return -1;
	close(pidfd);
	return waitpid(pid, &status, __WALL) == pid && status == 0 ? 0 : 1;
}

int command_check_userns(int argc, char **argv)
{
	struct err err = { 0 };
	struct id_map ids;
	uint64_t numbers[3];

	if (argc != 4 || argv[0][0] != '/' || strlen(argv[0]) > PATH_MAX - 8 || parse_decimal(argv[1], INT32_MAX, &numbers[0]) < 0 ||
	    parse_decimal(argv[2], INT32_MAX, &numbers[1]) < 0 || parse_decimal(argv[3], INT32_MAX, &numbers[2]) < 0) {
		err_set(&err, EINVAL, "arguments", "usage: atoll-shim check-userns <empty folder> <uid> <gid> <size>");
		err_report(&err, 2);
		return 1;
	}
	ids = (struct id_map){ (uint32_t)numbers[0], (uint32_t)numbers[1], (uint32_t)numbers[2] };
	int result = check(argv[0], &ids, &err);
	if (result < 0)
		err_report(&err, 2);
	return result == 0 ? 0 : 1;
}
