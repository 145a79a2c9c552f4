#include "root-spec.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bundle.h"
#include "child.h"
#include "io.h"
#include "mounts.h"
#include "oci-runtime.h"
#include "plan-records.h"
#include "rootfs.h"
#include "storage-limit.h"
#include "userns.h"

static const char STEP[] = "enter root";

int root_spec_option(struct root_spec *spec, int argc, char **argv, int *index, struct err *err)
{
	const struct { const char *name; const char **slot; } options[] = {
		{ "--root", &spec->folder }, { "--pid", &spec->pid }, { "--bundle", &spec->bundle },
		{ "--prepared", &spec->prepared }, { "--upper", &spec->upper }, { "--work", &spec->work },
	};

	if (strcmp(argv[*index], "--lower") == 0 && *index + 1 < argc)
		return plan_append(&spec->lowers, argv[++*index], err) < 0 ? -1 : 1;
	for (size_t at = 0; at < sizeof(options) / sizeof(*options); at++) {
		if (strcmp(argv[*index], options[at].name) != 0 || *index + 1 >= argc)
			continue;
		*options[at].slot = argv[++*index];
		return 1;
	}
	return 0;
}

static int enter_pid(struct root_spec *spec, struct err *err)
{
	struct identity process;
	unsigned long long ticks;
	char end;

	if (sscanf(spec->pid, "%d:%llu%c", &process.pid, &ticks, &end) != 2)
		return err_set(err, EINVAL, "arguments", "--pid wants <pid>:<start ticks>");
	process.ticks = ticks;
	CLEANUP_CLOSE int pidfd = process_open(&process, err);
	if (pidfd < 0)
		return -1;
	struct id_map ids;
	CLEANUP_CLOSE int userns = userns_of(&process, &ids, err);
	if (userns < -1)
		return -1;
	/* In its user namespace the files have the ids that the container sees. */
	if (setns(pidfd, CLONE_NEWNS | (userns >= 0 ? CLONE_NEWUSER : 0)) < 0)
		return err_sys(err, STEP, "join the mount namespace of process %d", process.pid);
	return userns >= 0 ? userns_become_root(err) : 0;
}

static int private_mounts(struct err *err)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sys(err, STEP, "make a private mount namespace");
	return 0;
}

/* Not freed: the plan points into what was read. */
static int read_plan(const char *bundle, struct plan *plan, struct err *err)
{
	size_t length;
	char *bytes = read_file_at(AT_FDCWD, "plan", PLAN_MAX_BYTES, &length);

	return bytes ? plan_parse((const uint8_t *)bytes, length, 0, plan, err) : err_sys(err, "read the plan", "%s/plan", bundle);
}

/* Puts the root and its binds over the current folder. Gives the root. */
static int assemble(const struct plan *plan, int root, const int *sources, struct err *err)
{
	CLEANUP_CLOSE int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (here < 0 || mount_attach(root, here) < 0)
		return err_sys(err, STEP, "attach the overlay");
	for (size_t index = 0; index < plan->mount_count; index++)
		if (sources[index] >= 0 && mount_bind(&plan->mounts[index], root, sources[index], err) < 0)
			return -1;
	return root;
}

static int enter_shim(struct err *err)
{
	CLEANUP_FREE char *text = read_file_at(AT_FDCWD, "shim.pid", 64, NULL);
	struct identity shim;
	unsigned long long ticks;

	if (!text || sscanf(text, "%d %llu", &shim.pid, &ticks) != 2)
		return err_set(err, EAGAIN, STEP, "the container has no supervisor at this moment; try again");
	shim.ticks = ticks;
	CLEANUP_CLOSE int pidfd = process_open(&shim, err);
	if (pidfd < 0)
		return -1;
	return setns(pidfd, CLONE_NEWNS) < 0 ? err_sys(err, STEP, "join the supervisor's mount namespace") : 0;
}

static int mount_prepared(struct root_spec *spec, struct err *err)
{
	static struct plan plan;
	CLEANUP_CLOSE int bundle = bundle_enter(spec->prepared, err);

	if (bundle < 0 || read_plan(spec->prepared, &plan, err) < 0 || enter_shim(err) < 0 || private_mounts(err) < 0)
		return -1;
	if (chdir(spec->prepared) < 0)
		return err_sys(err, STEP, "%s", spec->prepared);
	int *sources = calloc(plan.mount_count + 1, sizeof(*sources));
	int root = open_tree(AT_FDCWD, OCI_ROOTFS, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (!sources || root < 0)
		return err_sys(err, STEP, "find what was prepared");
	for (size_t index = 0; index < plan.mount_count; index++) {
		char path[32];

		snprintf(path, sizeof(path), OCI_MOUNTS "/%zu", index);
		sources[index] = !mount_has_source(&plan.mounts[index]) ? -1 :
				 open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
		if (mount_has_source(&plan.mounts[index]) && sources[index] < 0)
			return err_sys(err, STEP, "find the source of %s", plan.mounts[index].target);
	}
	return assemble(&plan, root, sources, err);
}

static int mount_bundle(struct root_spec *spec, struct err *err)
{
	static struct plan plan;
	int bundle = bundle_enter(spec->bundle, err);

	if (bundle < 0 || (spec->lock = bundle_lock(bundle, 15000, -1, err)) < 0 || private_mounts(err) < 0)
		return -1;
	/* A launch may have been cut off before it had limited what is written now. */
	if (read_plan(spec->bundle, &plan, err) < 0 || storage_limit_prepare(&plan, err) < 0)
		return -1;
	/* On disk its own files have the ids that the container sees already; the host's are shown as it would see them. */
	CLEANUP_CLOSE int reversed = plan.ids.size ? userns_make(&plan.ids, 1, err) : -1;
	if (plan.ids.size && reversed < 0)
		return -1;
	int *sources = mounts_open_sources(&plan, -1, &(struct ids_shown){ .own = -1, .host = reversed }, err);
	int root = sources ? rootfs_mount(&plan, -1, err) : -1;
	return root < 0 || storage_limit_hold(&plan, err) < 0 ? -1 : assemble(&plan, root, sources, err);
}

int root_spec_open(struct root_spec *spec, struct err *err)
{
	int ways = !!spec->folder + !!spec->pid + !!spec->bundle + !!spec->prepared + !!spec->lowers.count;

	spec->lock = -1;
	if (ways != 1 || (spec->upper && (!spec->work || !spec->lowers.count)) || spec->lowers.count > PLAN_MAX_LOWERS)
		return err_set(err, EINVAL, "arguments", "exactly one of --root, --pid, --bundle, --prepared and --lower (at most 128) is needed");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(err, STEP, "prctl");
	spec->self_fds = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (spec->self_fds < 0)
		return err_sys(err, STEP, "open /proc/self/fd");
	if (spec->pid && enter_pid(spec, err) < 0)
		return -1;
	if (spec->bundle) {
		spec->root = mount_bundle(spec, err);
		return spec->root < 0 ? -1 : 0;
	}
	if (spec->prepared) {
		spec->root = mount_prepared(spec, err);
		return spec->root < 0 ? -1 : 0;
	}
	if (spec->lowers.count > 0) {
		if (private_mounts(err) < 0)
			return -1;
		spec->root = overlay_mount(&spec->lowers, spec->upper, spec->work, NULL, -1, err);
		return spec->root < 0 ? -1 : 0;
	}
	spec->root = open(spec->pid ? "/" : spec->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return spec->root < 0 ? err_sys(err, STEP, "%s", spec->pid ? "/" : spec->folder) : 0;
}

void root_spec_close(struct root_spec *spec)
{
	/* The current folder is still the bundle, below what was mounted on it. */
	if (spec->lock >= 0)
		unlink("shim.pid");
	close(spec->lock);
	spec->lock = -1;
}

static int fd_target(const struct root_spec *spec, int fd, char *out)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", fd);
	ssize_t length = readlinkat(spec->self_fds, name, out, PATH_MAX - 1);
	if (length < 0)
		return -1;
	out[length] = '\0';
	return 0;
}

int root_spec_path(const struct root_spec *spec, int fd, char *out, struct err *err)
{
	char root[PATH_MAX], path[PATH_MAX];

	if (fd_target(spec, spec->root, root) < 0 || fd_target(spec, fd, path) < 0)
		return err_sys(err, STEP, "read where a descriptor lies");
	size_t skip = strcmp(root, "/") == 0 ? 0 : strlen(root);
	if (strncmp(path, root, skip) != 0 || (path[skip] != '/' && path[skip] != '\0'))
		return err_set(err, EAGAIN, STEP, "the path moved out of the root meanwhile");
	snprintf(out, PATH_MAX, "%s", path[skip] ? path + skip : "/");
	return 0;
}
