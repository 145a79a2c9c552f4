#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"
#include "extract.h"
#include "io.h"
#include "mounts.h"
#include "network.h"
#include "oci-container.h"
#include "oci-runtime.h"
#include "rootfs.h"

static const char STEP[] = "prepare";

static int fresh_folder(const char *name, struct err *err)
{
	if (mkdir(name, 0700) < 0 && errno != EEXIST)
		return err_sys(err, STEP, "make the folder %s", name);
	return 0;
}

/* A clone of each source at mounts/<number>, with the flags and the propagation it is to have: the runtime binds it as it is. */
static int mount_sources(const struct plan *plan, const int *sources, struct err *err)
{
	CLEANUP_CLOSE int folder = open(OCI_MOUNTS, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (folder < 0)
		return err_sys(err, STEP, "open the folder " OCI_MOUNTS);
	for (size_t index = 0; index < plan->mount_count; index++) {
		char target[24];
		struct mount_plan mount = plan->mounts[index];

		if (sources[index] < 0)
			continue;
		snprintf(target, sizeof(target), "/%zu", index);
		mount.target = target;
		if (mount_bind(&mount, folder, sources[index], err) < 0)
			return -1;
		close(sources[index]);
	}
	return 0;
}

/* A namespace kept alive at ns/<name> as long as this process and the container live. */
static int keep_namespace(const char *source, const char *name, struct err *err)
{
	char target[32];

	snprintf(target, sizeof(target), OCI_NAMESPACES "/%s", name);
	CLEANUP_CLOSE int point = open(target, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (point < 0 || mount(source, target, NULL, MS_BIND, NULL) < 0)
		return err_sys(err, "join namespace", "%s", name);
	return 0;
}

static int make_network(struct shim *shim, struct err *err)
{
	char path[64];
	CLEANUP_CLOSE int host = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (host < 0 || unshare(CLONE_NEWNET) < 0)
		return err_sys(err, "network", "make a namespace");
	CLEANUP_CLOSE int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (own < 0 || setns(host, CLONE_NEWNET) < 0)
		return err_sys(err, "network", "return to the host's namespace");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", own);
	if (shim_build_network(shim, own, err) < 0)
		return -1;
	return keep_namespace(path, "net", err);
}

static int keep_namespaces(struct shim *shim, struct err *err)
{
	static const char *const names[] = { "", "pid", "net", "ipc", "uts", "cgroup" };

	for (int kind = NS_PID; kind < NS_USER; kind++) {
		const struct ns_plan *namespace = &shim->plan.namespaces[kind];
		char path[64];

		if (kind == NS_NET && namespace->mode == NS_PRIVATE && make_network(shim, err) < 0)
			return -1;
		if (namespace->mode == NS_PATH && keep_namespace(namespace->path, names[kind], err) < 0)
			return -1;
		if (namespace->mode != NS_JOIN)
			continue;
		CLEANUP_CLOSE int process = process_open(&namespace->process, err);
		if (process < 0)
			return -1;
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", namespace->process.pid, names[kind]);
		if (keep_namespace(path, names[kind], err) < 0)
			return -1;
		/* Still the one that was meant, so the name led to it. */
		CLEANUP_CLOSE int again = process_open(&namespace->process, err);
		if (again < 0)
			return -1;
	}
	return 0;
}

static int mount_root(const struct plan *plan, struct err *err)
{
	struct mount_attr private = { .propagation = MS_PRIVATE };
	CLEANUP_CLOSE int root = rootfs_mount(plan, -1, err);
	CLEANUP_CLOSE int place = root < 0 ? -1 : open(OCI_ROOTFS, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (root < 0 || rootfs_check_writable(plan, root, err) < 0)
		return -1;
	if (place < 0 || mount_setattr(root, "", AT_EMPTY_PATH, &private, sizeof(private)) < 0 || mount_attach(root, place) < 0)
		return err_sys(err, "mount root", "attach");
	return 0;
}

int oci_prepare(struct shim *shim, struct err *err)
{
	const struct plan *plan = &shim->plan;

	/* Of a run that was killed; the folder may have been through a reboot. */
	if (remove_tree(AT_FDCWD, OCI_STATE) < 0 || remove_tree(AT_FDCWD, OCI_MOUNTS) < 0 || remove_tree(AT_FDCWD, OCI_NAMESPACES) < 0)
		return err_sys(err, STEP, "remove what an earlier run left");
	if (fresh_folder(OCI_STATE, err) < 0 || fresh_folder(OCI_ROOTFS, err) < 0 || fresh_folder(OCI_MOUNTS, err) < 0 ||
	    fresh_folder(OCI_NAMESPACES, err) < 0)
		return -1;
	if (oci_adopt(err) < 0)
		return -1;
	CLEANUP_CLOSE int ipc = plan->namespaces[NS_IPC].mode == NS_JOIN ? namespace_open(&plan->namespaces[NS_IPC], err) : -1;
	if (plan->namespaces[NS_IPC].mode == NS_JOIN && ipc < 0)
		return -1;
	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(err, "private mounts", "unshare");
	CLEANUP_FREE int *sources = mounts_open_sources(plan, ipc, &(struct ids_shown){ -1, -1 }, err);
	if (!sources)
		return -1;
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sys(err, "private mounts", "make the host's mounts slaves");
	if (mount_root(plan, err) < 0 || mount_sources(plan, sources, err) < 0)
		return -1;
	return keep_namespaces(shim, err);
}
