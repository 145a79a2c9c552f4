#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cgroup.h"
#include "commands.h"
#include "io.h"
#include "plan-records.h"
#include "root-spec.h"
#include "rootfs.h"
#include "user.h"

static int fail(const struct err *err)
{
	err_report(err, 2);
	return 1;
}

int command_mount_overlay(int argc, char **argv)
{
	struct root_spec spec = { .lock = -1 };
	const char *target = NULL;
	struct err err = { 0 };

	for (int index = 0; index < argc; index++) {
		int taken = root_spec_option(&spec, argc, argv, &index, &err);

		if (taken < 0)
			return fail(&err);
		if (taken == 0)
			target = argv[index];
	}
	if (!target || spec.lowers.count == 0 || spec.lowers.count > PLAN_MAX_LOWERS || (spec.upper && !spec.work)) {
		err_set(&err, EINVAL, "arguments", "usage: atoll-shim mount-overlay --lower <folder>… [--upper <folder> --work <folder>] <target>");
		return fail(&err);
	}
	CLEANUP_CLOSE int mount = overlay_mount(&spec.lowers, spec.upper, spec.work, NULL, -1, &err);
	CLEANUP_CLOSE int point = open(target, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (mount >= 0 && point >= 0 && mount_attach(mount, point) == 0)
		return 0;
	if (mount >= 0)
		err_sys(&err, "mount overlay", "on %s", target);
	return fail(&err);
}

int command_umount(int argc, char **argv)
{
	struct err err = { 0 };

	if (argc == 1 && (umount2(argv[0], MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT))
		return 0;
	if (argc == 1)
		err_sys(&err, "unmount", "%s", argv[0]);
	else
		err_set(&err, EINVAL, "arguments", "usage: atoll-shim umount <target>");
	return fail(&err);
}

int command_resolve_user(int argc, char **argv)
{
	static struct user user;
	struct process_plan process = { 0 };
	struct root_spec spec = { .lock = -1 };
	struct err err = { 0 };

	for (int index = 0; index < argc; index++) {
		int taken = root_spec_option(&spec, argc, argv, &index, &err);

		if (taken < 0)
			return fail(&err);
		if (taken == 0 && strcmp(argv[index], "--group") == 0 && index + 1 < argc) {
			if (plan_append(&process.group_names, argv[++index], &err) < 0)
				return fail(&err);
		} else if (taken == 0) {
			process.user = argv[index];
		}
	}
	if (!process.user)
		err_set(&err, EINVAL, "arguments", "usage: atoll-shim resolve-user <root> [--group <group>]… <user>");
	int result = process.user && root_spec_open(&spec, &err) == 0 ? user_resolve(spec.root, &process, &user, &err) : -1;
	if (spec.lock > 0)
		root_spec_close(&spec);
	if (result < 0)
		return fail(&err);
	printf("%u:%u:", user.uid, user.gid);
	for (size_t index = 1; index < user.group_count; index++)
		printf("%s%u", index > 1 ? "," : "", user.groups[index]);
	printf("\n");
	return 0;
}

static int has_openat2(void)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	CLEANUP_CLOSE int fd = (int)syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));

	return fd >= 0;
}

static int has_call(long number)
{
	/* A null or zero argument is refused by a call that exists, with anything but ENOSYS. */
	return syscall(number, NULL, 0, NULL, 0, 0) >= 0 || errno != ENOSYS;
}

static const char *flag(int value)
{
	return value ? "true" : "false";
}

int command_features(int argc, char **argv)
{
	static struct cgroup cgroup;
	uint32_t action = SECCOMP_RET_ERRNO;
	struct utsname kernel;
	struct err err = { 0 };
	char controllers[1024] = "";

	(void)argv;
	if (argc != 0 || uname(&kernel) < 0 || cgroup_open(&cgroup, "/", &err) < 0) {
		if (!err.code)
			err_set(&err, EINVAL, "arguments", "usage: atoll-shim features");
		return fail(&err);
	}
	for (int index = 0; index < cgroup.count; index++)
		strncat(controllers, cgroup.hierarchies[index].controllers, sizeof(controllers) - strlen(controllers) - 1);
	printf("{\"kernel\":\"%s\",\"openat2\":%s,\"clone3\":%s,\"mountSetattr\":%s,\"pidfd\":%s,\"overlay\":%s,"
	       "\"lowerdirPlus\":%s,\"seccomp\":%s,\"cgroupMode\":\"%s\",\"controllers\":[",
	       kernel.release, flag(has_openat2()), flag(has_call(SYS_clone3)), flag(has_call(SYS_mount_setattr)),
	       flag(has_call(SYS_pidfd_open)), flag(fsopen("overlay", FSOPEN_CLOEXEC) >= 0), flag(overlay_has_lowerdir_plus()),
	       flag(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0), cgroup_mode(&cgroup));
	char *save = NULL;
	const char *comma = "";
	for (char *name = strtok_r(controllers, ",", &save); name; name = strtok_r(NULL, ",", &save), comma = ",")
		printf("%s\"%s\"", comma, name);
	printf("]}\n");
	return 0;
}
