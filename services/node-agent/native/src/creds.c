#include "creds.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const RLIMIT_NAMES[] = {
	"cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile",
	"memlock", "as", "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime",
};

int creds_rlimits(pid_t pid, const struct process_plan *process, struct err *err)
{
	for (size_t index = 0; index < process->rlimit_count; index++) {
		const struct rlimit_plan *limit = &process->rlimits[index];
		struct rlimit value = { limit->soft, limit->hard }, current;

		if (prlimit(pid, (__rlimit_resource_t)limit->resource, &value, NULL) == 0)
			continue;
		if (errno == EPERM && prlimit(pid, (__rlimit_resource_t)limit->resource, NULL, &current) == 0)
			return err_set(err, EPERM, "set resource limit",
				       "%s: a hard limit of %llu is above this host's %llu and the node agent lacks CAP_SYS_RESOURCE",
				       RLIMIT_NAMES[limit->resource], (unsigned long long)limit->hard,
				       (unsigned long long)current.rlim_max);
		return err_sys(err, "set resource limit", "%s", RLIMIT_NAMES[limit->resource]);
	}
	return 0;
}

static int set_caps(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ (uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable },
		{ (uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32) },
	};

	return (int)syscall(SYS_capset, &header, data);
}

/* Capabilities we do not hold cannot be given: a privileged container gets what the host's root has. */
static uint64_t held_caps(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return 0;
	return (uint64_t)data[1].permitted << 32 | data[0].permitted;
}

int creds_make_files_as(uid_t uid, gid_t gid, struct err *err)
{
	uint64_t held = held_caps();

	setfsgid(gid);
	setfsuid(uid);
	/* Both only tell what was there before. A change from root takes capabilities out of the effective set. */
	if ((uid_t)setfsuid((uid_t)-1) != uid || (gid_t)setfsgid((gid_t)-1) != gid || set_caps(held, held, 0) < 0)
		return err_sys(err, "set user", "make files as user %u", uid);
	return 0;
}

int creds_install_seccomp(const struct process_plan *process, struct err *err)
{
	struct sock_fprog program = {
		.len = (unsigned short)(process->seccomp_length / 8),
		.filter = (struct sock_filter *)(uintptr_t)process->seccomp,
	};

	if (!process->seccomp)
		return 0;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return err_sys(err, "install seccomp", "%u instructions", program.len);
	return 0;
}

static int raise_ambient(uint64_t ambient, struct err *err)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_sys(err, "set capabilities", "clear the ambient set");
	for (int cap = 0; cap < 64; cap++)
		if ((ambient >> cap & 1) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return err_sys(err, "set capabilities", "raise ambient capability %d", cap);
	return 0;
}

int creds_become(const struct process_plan *process, const struct user *user, struct err *err)
{
	uint64_t held = held_caps();
	uint64_t permitted = process->cap_permitted & held;
	uint64_t effective = process->cap_effective & permitted;
	uint64_t inheritable = process->cap_inheritable & held;

	for (int cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != 1 || (process->cap_bounding >> cap & 1))
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_sys(err, "set capabilities", "drop capability %d from the bounding set", cap);
	}
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_sys(err, "set capabilities", "keep capabilities");
	if (setgroups(user->group_count, user->groups) < 0)
		return err_sys(err, "set user", "setgroups");
	if (setresgid(user->gid, user->gid, user->gid) < 0)
		return err_sys(err, "set user", "group %u", user->gid);
	if (setresuid(user->uid, user->uid, user->uid) < 0)
		return err_sys(err, "set user", "user %u", user->uid);
	/* A change of ids clears both. */
	if (prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(err, "set user", "prctl");
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return err_sys(err, "set capabilities", "stop keeping capabilities");
	if (process->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, "set no new privileges", "prctl");
	if (!process->no_new_privs) {
		if (process->seccomp && set_caps(held, held, inheritable) < 0)
			return err_sys(err, "set capabilities", "capset before seccomp");
		if (creds_install_seccomp(process, err) < 0)
			return -1;
	}
	if (set_caps(effective, permitted, inheritable) < 0)
		return err_sys(err, "set capabilities", "capset");
	if (raise_ambient(process->cap_ambient & permitted & inheritable, err) < 0)
		return -1;
	return process->no_new_privs ? creds_install_seccomp(process, err) : 0;
}
