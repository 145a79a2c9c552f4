#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "io.h"

enum { MAX_DEPTH = 32 };

typedef int (*visit)(int group, void *context);

/* Visits the groups below `group`, deepest first, then `group` itself. */
static int walk(int group, int depth, visit visitor, void *context)
{
	int copy = openat(group, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	int result = 0;

	if (!directory) {
		if (copy >= 0)
			close(copy);
		return -1;
	}
	while (depth < MAX_DEPTH && (entry = readdir(directory))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		CLEANUP_CLOSE int child = openat(group, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child >= 0)
			result |= walk(child, depth + 1, visitor, context);
	}
	closedir(directory);
	return result | visitor(group, context);
}

static int signal_group(int group, void *context)
{
	CLEANUP_FREE char *processes = read_file_at(group, "cgroup.procs", 8 << 20, NULL);
	char *save = NULL;
	int count = 0;

	for (char *line = processes ? strtok_r(processes, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		int pid = atoi(line);

		/* 0 is a process of another pid namespace, which cannot be named here. */
		if (pid > 0 && *(int *)context >= 0)
			kill(pid, *(int *)context);
		count++;
	}
	return count > 0;
}

/* A hierarchy to find processes in: the v2 tree when there is one, else any. */
static struct hierarchy *process_tree(struct cgroup *cgroup)
{
	struct hierarchy *found = NULL;

	for (int index = 0; index < cgroup->count; index++) {
		if (cgroup->hierarchies[index].group < 0)
			continue;
		if (cgroup->hierarchies[index].is_v2)
			return &cgroup->hierarchies[index];
		found = &cgroup->hierarchies[index];
	}
	return found;
}

void cgroup_signal(struct cgroup *cgroup, int sig)
{
	struct hierarchy *tree = process_tree(cgroup);

	if (tree)
		walk(tree->group, 0, signal_group, &sig);
}

void cgroup_kill(struct cgroup *cgroup, unsigned milliseconds)
{
	struct hierarchy *tree = process_tree(cgroup);
	uint64_t deadline = now_monotonic_ms() + milliseconds;
	int look = -1;

	if (!tree || walk(tree->group, 0, signal_group, &look) <= 0)
		return;
	struct err ignored;
	cgroup_freeze(cgroup, 0, &ignored);
	do {
		int sig = SIGKILL;

		if (tree->is_v2)
			write_file_at(tree->group, "cgroup.kill", "1");
		if (walk(tree->group, 0, signal_group, &sig) <= 0)
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	} while (now_monotonic_ms() < deadline);
}

int cgroup_freeze(struct cgroup *cgroup, int frozen, struct err *err)
{
	struct hierarchy *freezer = cgroup_controller(cgroup, "freezer");
	uint64_t deadline = now_monotonic_ms() + 2000;

	for (int index = 0; !freezer && index < cgroup->count; index++)
		if (cgroup->hierarchies[index].is_v2)
			freezer = &cgroup->hierarchies[index];
	if (!freezer || freezer->group < 0)
		return err_set(err, ENOENT, "freeze", "the host has no freezer");
	const char *file = freezer->is_v2 ? "cgroup.freeze" : "freezer.state";
	const char *value = freezer->is_v2 ? (frozen ? "1" : "0") : (frozen ? "FROZEN" : "THAWED");
	const char *done = freezer->is_v2 ? (frozen ? "frozen 1" : "frozen 0") : value;

	for (;;) {
		if (write_file_at(freezer->group, file, value) < 0)
			return err_sys(err, "freeze", "write %s to %s", value, file);
		CLEANUP_FREE char *state = read_file_at(freezer->group, freezer->is_v2 ? "cgroup.events" : file, 4096, NULL);
		if (state && strstr(state, done))
			return 0;
		if (now_monotonic_ms() > deadline)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	/* Never leave it half frozen. */
	write_file_at(freezer->group, file, freezer->is_v2 ? "0" : "THAWED");
	return err_set(err, ETIMEDOUT, "freeze", "the processes did not reach the state %s within 2 s", value);
}

uint64_t cgroup_oom_kills(struct cgroup *cgroup)
{
	struct hierarchy *memory = cgroup_controller(cgroup, "memory");

	if (!memory || memory->group < 0)
		return 0;
	CLEANUP_FREE char *text = read_file_at(memory->group, memory->is_v2 ? "memory.events" : "memory.oom_control", 4096, NULL);
	char *found = text ? strstr(text, "oom_kill ") : NULL;
	return found ? strtoull(found + 9, NULL, 10) : 0;
}

static int remove_below(int group, void *context)
{
	int copy = openat(group, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	(void)context;
	if (!directory) {
		if (copy >= 0)
			close(copy);
		return 0;
	}
	while ((entry = readdir(directory)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			unlinkat(group, entry->d_name, AT_REMOVEDIR);
	closedir(directory);
	return 0;
}

int cgroup_remove(struct cgroup *cgroup, struct err *err)
{
	int failed = 0;

	for (int index = 0; index < cgroup->count; index++) {
		struct hierarchy *hierarchy = &cgroup->hierarchies[index];
		uint64_t deadline = now_monotonic_ms() + 2000;

		if (hierarchy->group < 0)
			continue;
		while (unlinkat(hierarchy->mount, cgroup->path + 1, AT_REMOVEDIR) < 0 && errno != ENOENT) {
			if (now_monotonic_ms() > deadline) {
				failed = err_sys(err, "remove cgroup", "%s%s", hierarchy->mount_point, cgroup->path);
				break;
			}
			walk(hierarchy->group, 0, remove_below, NULL);
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		}
		close(hierarchy->group);
		hierarchy->group = -1;
	}
	return failed;
}
