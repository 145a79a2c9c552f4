#include "userns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "io.h"

static const char STEP[] = "user namespace";

/* What a namespace's processes may lock, queue and have pending is bounded by the limits of who made it. */
static const int BOUNDS[] = { RLIMIT_MEMLOCK, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE };
enum { BOUND_COUNT = sizeof(BOUNDS) / sizeof(*BOUNDS) };

static int write_map(pid_t pid, const char *name, uint32_t inside, uint32_t outside, uint32_t size, struct err *err)
{
	char path[48], text[48];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	snprintf(text, sizeof(text), "%u %u %u\n", inside, outside, size);
	return write_file_at(AT_FDCWD, path, text) < 0 ? err_sys(err, STEP, "write \"%u %u %u\" to its %s", inside, outside, size, name) : 0;
}

static int map_and_open(pid_t pid, const struct id_map *ids, int reversed, struct err *err)
{
	char path[48];
	int failed = reversed ? write_map(pid, "uid_map", ids->uid, 0, ids->size, err) < 0 ||
					write_map(pid, "gid_map", ids->gid, 0, ids->size, err) < 0
			      : write_map(pid, "uid_map", 0, ids->uid, ids->size, err) < 0 ||
					write_map(pid, "gid_map", 0, ids->gid, ids->size, err) < 0;

	if (failed)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, STEP, "open it") : fd;
}

int userns_make(const struct id_map *ids, int reversed, struct err *err)
{
	struct rlimit before[BOUND_COUNT];
	int holder_fd, fd;

	for (int index = 0; index < BOUND_COUNT; index++) {
		const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

		/* Refused without CAP_SYS_RESOURCE, as is a container's own wish for more. */
		if (getrlimit((__rlimit_resource_t)BOUNDS[index], &before[index]) == 0)
			setrlimit((__rlimit_resource_t)BOUNDS[index], &unlimited);
	}
	pid_t self = getpid(), holder = child_clone(CLONE_NEWUSER, -1, &holder_fd, err);
	if (holder == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		while (getppid() == self)
			pause();
		_exit(0);
	}
	for (int index = 0; index < BOUND_COUNT; index++)
		setrlimit((__rlimit_resource_t)BOUNDS[index], &before[index]);
	if (holder < 0)
		return -1;
	fd = map_and_open(holder, ids, reversed, err);
	kill(holder, SIGKILL);
	waitpid(holder, NULL, __WALL);
	close(holder_fd);
	return fd;
}

static int read_map(pid_t pid, const char *name, uint32_t *first, uint32_t *size)
{
	char path[48];
	unsigned inside, outside, count;
	int end = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	CLEANUP_FREE char *text = read_file_at(AT_FDCWD, path, 4096, NULL);
	if (!text || sscanf(text, "%u %u %u\n%n", &inside, &outside, &count, &end) != 3 || inside != 0 || text[end] != '\0')
		return -1;
	*first = outside;
	*size = count;
	return 0;
}

int userns_of(const struct identity *process, struct id_map *ids, struct err *err)
{
	struct stat own, other;
	char path[48];
	uint32_t groups = 0;

	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)process->pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || stat("/proc/self/ns/user", &own) < 0 || fstat(fd, &other) < 0) {
		err_sys(err, STEP, "look at the one of process %d", process->pid);
		goto fail;
	}
	int same = own.st_ino == other.st_ino && own.st_dev == other.st_dev;
	memset(ids, 0, sizeof(*ids));
	if (!same && (read_map(process->pid, "uid_map", &ids->uid, &ids->size) < 0 ||
		      read_map(process->pid, "gid_map", &ids->gid, &groups) < 0 || groups != ids->size)) {
		err_set(err, EINVAL, STEP, "the ids of process %d are not one range that begins with 0", process->pid);
		goto fail;
	}
	if (process_start_ticks(process->pid) != process->ticks) {
		err_set(err, ESRCH, "find process", "process %d is not the one that was meant", process->pid);
		goto fail;
	}
	if (!same)
		return fd;
	close(fd);
	return -1;
fail:
	if (fd >= 0)
		close(fd);
	return -2;
}

int userns_idmap(int mount, int userns)
{
	struct mount_attr attributes = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns };

	return mount_setattr(mount, "", AT_EMPTY_PATH, &attributes, sizeof(attributes));
}

struct cloned {
	pid_t pid;
	int pidfd;
	struct err err;
};

static int enter(int userns, int pid_namespace, struct err *err)
{
	if (setns(userns, CLONE_NEWUSER) < 0)
		return err_sys(err, "join namespace", "user");
	/* Changes only where our children go. */
	return pid_namespace >= 0 && setns(pid_namespace, CLONE_NEWPID) < 0 ? err_sys(err, "join namespace", "pid") : 0;
}

pid_t userns_clone(int userns, int pid_namespace, uint64_t flags, int group, int *pidfd, struct err *err)
{
	struct cloned cloned = { .pid = -1, .pidfd = -1 };
	int ends[2], between_fd;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, STEP, "pipe");
	/* Shares our descriptors, so that the process's pidfd is ours; we go on when it has ended. */
	pid_t between = child_clone(CLONE_FILES | CLONE_VFORK, -1, &between_fd, err);
	if (between == 0) {
		if (enter(userns, pid_namespace, &cloned.err) == 0) {
			cloned.pid = child_clone(flags | CLONE_PARENT, group, &cloned.pidfd, &cloned.err);
			if (cloned.pid == 0) {
				close(ends[0]);
				close(ends[1]);
				return 0;
			}
		}
		_exit(write_all(ends[1], &cloned, sizeof(cloned)) < 0);
	}
	close(ends[1]);
	if (between > 0) {
		waitpid(between, NULL, __WALL);
		close(between_fd);
		if (read_exact(ends[0], &cloned, sizeof(cloned)) < 0)
			err_set(err, EPIPE, STEP, "the process between ended early");
		else if (cloned.pid < 0)
			*err = cloned.err;
	}
	close(ends[0]);
	*pidfd = cloned.pidfd;
	return cloned.pid;
}

int userns_become_root(struct err *err)
{
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_sys(err, STEP, "become its root");
	/* A change of ids clears it. */
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? err_sys(err, STEP, "prctl") : 0;
}
