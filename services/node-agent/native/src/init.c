#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "child.h"
#include "failpoint.h"
#include "io.h"
#include "mounts.h"
#include "path.h"
#include "rootfs.h"
#include "userns.h"

static int join_namespaces(const struct shim *shim, struct err *err)
{
	static const struct { enum ns_kind kind; int flag; const char *name; } kinds[] = {
		{ NS_NET, CLONE_NEWNET, "network" }, { NS_IPC, CLONE_NEWIPC, "ipc" },
		{ NS_UTS, CLONE_NEWUTS, "uts" }, { NS_CGROUP, CLONE_NEWCGROUP, "cgroup" },
	};

	for (size_t index = 0; index < sizeof(kinds) / sizeof(*kinds); index++) {
		int fd = shim->joined[kinds[index].kind];

		if (fd < 0 || setns(fd, kinds[index].flag) == 0)
			continue;
		if (errno == EPERM && shim->userns >= 0)
			return err_set(err, EPERM, "join namespace", "%s: it belongs to another user namespace than the others", kinds[index].name);
		return err_sys(err, "join namespace", "%s", kinds[index].name);
	}
	return 0;
}

static int wait_joined(int sync, struct plan *plan, struct err *err)
{
	struct sync_message message;

	if (sync_receive(sync, &message, NULL) != 1 || message.kind != SYNC_JOINED)
		return err_set(err, 0, "start child", "the shim is gone");
	/* Inside its own pid namespace it could not know. */
	plan->host_pid = message.err.code;
	return 0;
}

static int set_names(const struct plan *plan, struct err *err)
{
	if (plan->hostname && sethostname(plan->hostname, strlen(plan->hostname)) < 0)
		return err_sys(err, "set host name", "%s", plan->hostname);
	if (plan->domainname && setdomainname(plan->domainname, strlen(plan->domainname)) < 0)
		return err_sys(err, "set domain name", "%s", plan->domainname);
	return 0;
}

static int set_oom_score(const struct process_plan *process, struct err *err)
{
	char text[16];

	if (!process->has_oom_score_adj)
		return 0;
	snprintf(text, sizeof(text), "%d", process->oom_score_adj);
	if (write_file_at(AT_FDCWD, "/proc/self/oom_score_adj", text) < 0)
		return err_sys(err, "set oom score", "%s", text);
	return 0;
}

/* The terminal comes from the devpts mount by descriptor: no name inside the container takes part. */
static int make_terminal(struct plan *plan, int dev, int devpts, struct stdio *stdio, int *master, struct err *err)
{
	if (devpts < 0)
		return err_set(err, ENXIO, "terminal", "the plan has no devpts mount");
	*master = openat(devpts, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	if (*master < 0)
		return err_sys(err, "terminal", "open the multiplexer");
	int slave = stdio_open_peer(*master, &plan->process, err);
	if (slave < 0)
		return -1;
	stdio->child_in = stdio->child_out = stdio->child_error = slave;
	if (dev < 0)
		return 0;
	CLEANUP_CLOSE int made = openat(dev, "console", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	CLEANUP_CLOSE int console = openat(dev, "console", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	CLEANUP_CLOSE int peer = open_tree(slave, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (made < 0 || console < 0 || peer < 0 || mount_attach(peer, console) < 0)
		return err_sys(err, "terminal", "mount /dev/console");
	return 0;
}

static int build_root(struct shim *shim, int scratch, int root, int proc, const int *sources, int sync, int *master, struct err *err)
{
	struct plan *plan = &shim->plan;
	int dev, devpts;
	struct mount_attr readonly = { .attr_set = MOUNT_ATTR_RDONLY };

	if (mounts_apply(plan, root, sources, &shim->cgroup, &dev, &devpts, err) < 0)
		return -1;
	if (shim->userns < 0 ? devices_create(plan, root, dev, err) < 0 : devices_bind(plan, root, dev, shim->made.nodes, err) < 0)
		return -1;
	if (plan->process.tty && make_terminal(plan, dev, devpts, &shim->stdio, master, err) < 0)
		return -1;
	/* Settings of interfaces need the interfaces: until here the shim made the network beside us. */
	if (wait_joined(sync, plan, err) < 0 || sysctls_write(plan, proc, err) < 0 || paths_make_readonly(plan, root, err) < 0 ||
	    paths_mask(plan, root, scratch, shim->made.nodes, err) < 0)
		return -1;
	if (plan->root_readonly && mount_setattr(root, "", AT_EMPTY_PATH, &readonly, sizeof(readonly)) < 0)
		return err_sys(err, "mount root", "make it read-only");
	if (plan->before_pivot && plan->before_pivot(plan->host_pid, err) < 0)
		return -1;
	return rootfs_pivot(root, err);
}

static int prepare(struct shim *shim, int sync, int *master, struct err *err)
{
	struct plan *plan = &shim->plan;
	int mapped = shim->userns >= 0;

	/* The cgroup comes first: all that is made from here on counts for, and is limited as, the container. */
	if (child_begin(err) < 0 || cgroup_join(&shim->cgroup, err) < 0 || (!mapped && set_oom_score(&plan->process, err) < 0) ||
	    join_namespaces(shim, err) < 0)
		return -1;
	if (child_open_attributes(shim, err) < 0)
		return -1;
	failpoint("init.1-begun");
	int *sources = mapped ? shim->made.sources : mounts_open_sources(plan, shim->joined[NS_IPC], &(struct ids_shown){ -1, -1 }, err);
	if (!sources)
		return -1;
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sys(err, "private mounts", "make the host's mounts slaves");
	CLEANUP_CLOSE int root = mapped ? shim->made.root : rootfs_mount(plan, -1, err);
	if (root < 0 || rootfs_check_writable(plan, root, err) < 0)
		return -1;
	/* Descriptors from before the clone belong to the host's mount namespace; the current folder moved with us. */
	CLEANUP_CLOSE int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	CLEANUP_CLOSE int scratch = mapped ? -1 : open(plan->log_directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (here < 0 || (!mapped && scratch < 0) || (mapped && mount_attach(shim->made.nodes, here) < 0) || mount_attach(root, here) < 0)
		return err_sys(err, "mount root", "attach");
	failpoint("init.2-rooted");
	if (mapped && (userns_become_root(err) < 0 || child_begin(err) < 0))
		return -1;
	if (mapped && plan->namespaces[NS_IPC].mode == NS_PRIVATE && unshare(CLONE_NEWIPC) < 0)
		return err_sys(err, "user namespace", "make an ipc namespace");
	struct mount_attr private = { .propagation = MS_PRIVATE };
	if (mount_setattr(root, "", AT_EMPTY_PATH, &private, sizeof(private)) < 0)
		return err_sys(err, "mount root", "make it private");
	CLEANUP_CLOSE int proc = fs_mount("proc", "proc", NULL, 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, NULL, err);
	if (proc < 0)
		return -1;
	if (plan->namespaces[NS_CGROUP].mode == NS_PRIVATE && unshare(CLONE_NEWCGROUP) < 0)
		return err_sys(err, "cgroup namespace", "unshare");
	if (set_names(plan, err) < 0)
		return -1;
	return build_root(shim, scratch, root, proc, sources, sync, master, err);
}

_Noreturn void init_main(struct shim *shim, int sync)
{
	struct err err = { 0 };
	int master = -1;

	if (prepare(shim, sync, &master, &err) == 0)
		child_finish(shim, master, sync, &err);
	child_fail(sync, &err);
}
