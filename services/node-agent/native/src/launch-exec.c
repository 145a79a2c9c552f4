#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "creds.h"
#include "failpoint.h"
#include "io.h"
#include "launch.h"
#include "oci-exec.h"
#include "path.h"
#include "self.h"
#include "shim.h"
#include "userns.h"

static struct shim shim;

/* The container's own multiplexer, looked at before it is opened: a name inside may be anything. */
static int open_terminal(int self_fds, int *master, struct err *err)
{
	struct statfs file_system;
	struct stat info;
	char name[16];
	CLEANUP_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	CLEANUP_CLOSE int look = root_open(root, "/dev/pts/ptmx", O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS);

	if (look < 0 || fstat(look, &info) < 0 || fstatfs(look, &file_system) < 0)
		return err_sys(err, "terminal", "/dev/pts/ptmx");
	if ((unsigned long)file_system.f_type != DEVPTS_SUPER_MAGIC || !S_ISCHR(info.st_mode) || info.st_rdev != makedev(5, 2))
		return err_set(err, ENXIO, "terminal", "the container's /dev/pts is not a devpts file system");
	snprintf(name, sizeof(name), "%d", look);
	*master = openat(self_fds, name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*master < 0)
		return err_sys(err, "terminal", "open the multiplexer");
	int slave = stdio_open_peer(*master, &shim.plan.process, err);
	if (slave < 0)
		return -1;
	shim.stdio.child_in = shim.stdio.child_out = shim.stdio.child_error = slave;
	return 0;
}

static int join(int target, int *master, struct err *err)
{
	CLEANUP_CLOSE int self_fds = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (child_begin(err) < 0)
		return -1;
	if (self_fds < 0)
		return err_sys(err, "join namespaces", "open /proc/self/fd");
	if (shim.plan.process.has_oom_score_adj) {
		char text[16];

		snprintf(text, sizeof(text), "%d", shim.plan.process.oom_score_adj);
		if (write_file_at(AT_FDCWD, "/proc/self/oom_score_adj", text) < 0)
			return err_sys(err, "set oom score", "%s", text);
	}
	if (child_open_attributes(&shim, err) < 0)
		return -1;
	/* The cgroup comes first: from here on all that is opened counts for, and is limited as, the container. */
	if (cgroup_join(&shim.cgroup, err) < 0)
		return -1;
	/* The kernel enters the user namespace first, whatever the order of flags. */
	int flags = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | (shim.userns >= 0 ? CLONE_NEWUSER : 0);
	if (setns(target, flags) < 0)
		return err_sys(err, "join namespaces", "setns");
	if (chdir("/") < 0)
		return err_sys(err, "join namespaces", "chdir");
	if (shim.userns >= 0 && (userns_become_root(err) < 0 || child_begin(err) < 0))
		return -1;
	return shim.plan.process.tty ? open_terminal(self_fds, master, err) : 0;
}

static int clone_process(int target, struct err *err)
{
	int inner;

	if (setns(target, CLONE_NEWPID) < 0)
		return err_sys(err, "join namespaces", "setns pid");
	if (sync_pair(&shim.sync, &inner, err) < 0)
		return -1;
	shim.pid = child_clone(0, cgroup_v2_group(&shim.cgroup), &shim.pidfd, err);
	if (shim.pid == 0) {
		struct err failure = { 0 };
		int master = -1;

		close(shim.sync);
		stdio_close_shim(&shim.stdio);
		if (join(target, &master, &failure) == 0)
			child_finish(&shim, master, inner, &failure);
		child_fail(inner, &failure);
	}
	close(inner);
	stdio_close_child(&shim.stdio);
	return shim.pid < 0 ? -1 : 0;
}

static int expect(enum sync_kind wanted, int *fd, struct err *err)
{
	struct sync_message message;
	int result = sync_receive(shim.sync, &message, fd);

	if (result == 1 && message.kind == SYNC_FAILED) {
		*err = message.err;
		return -1;
	}
	if (result == 1 ? message.kind != (int)wanted : result < 0 || wanted != 0)
		return err_set(err, EPIPE, "start child", "the process ended before it ran its program");
	return 0;
}

/* `given`: streams of the caller's instead of pipes. */
static int start(const struct stdio *given, struct err *err)
{
	int master;
	CLEANUP_CLOSE int target = process_open(&shim.plan.target, err);

	if (shim.plan.runtime)
		return target < 0 || stdio_make(&shim.plan.process, &shim.stdio, err) < 0 ? -1 : oci_exec(&shim, err);
	if (given)
		shim.stdio = *given;
	if (target < 0 || (shim.userns = userns_of(&shim.plan.target, &shim.ids, err)) < -1 ||
	    (!given && stdio_make(&shim.plan.process, &shim.stdio, err) < 0) ||
	    (shim.userns >= 0 && stdio_give(&shim.stdio, &shim.ids, err) < 0) ||
	    cgroup_open(&shim.cgroup, shim.plan.cgroup, err) < 0 || clone_process(target, err) < 0)
		return -1;
	failpoint("exec.2-cloned");
	if (expect(SYNC_READY, &master, err) < 0 || (shim.userns >= 0 && creds_rlimits(shim.pid, &shim.plan.process, err) < 0))
		return -1;
	if (shim.stdio.tty) {
		if (master < 0 || fcntl(master, F_SETFL, O_NONBLOCK) < 0)
			return err_set(err, EBADF, "terminal", "no master was sent");
		shim.stdio.out = master;
		shim.stdio.in = shim.plan.process.stdin_mode == STDIN_NULL ? -1 : master;
	}
	if (sync_send(shim.sync, SYNC_START, NULL, -1) < 0)
		return err_sys(err, "start child", "the prepared process is gone");
	if (expect(0, NULL, err) < 0)
		return -1;
	close(shim.sync);
	shim.sync = -1;
	return 0;
}

struct shim *launch_exec_unsupervised(const struct plan *plan, const struct stdio *stdio, struct err *err)
{
	shim_init(&shim);
	shim.is_exec = 1;
	shim.plan = *plan;
	if (start(stdio, err) == 0)
		return &shim;
	if (shim.pid > 0) {
		syscall(SYS_pidfd_send_signal, shim.pidfd, SIGKILL, NULL, 0);
		waitpid(shim.pid, NULL, __WALL);
	}
	return NULL;
}

void launch_exec(int connection, const uint8_t *plan, size_t length)
{
	struct client *client = &shim.clients[0];
	uint8_t state[STATE_BYTES];
	struct err err = { 0 };

	shim_init(&shim);
	shim.is_exec = 1;
	self_title("atoll-shim exec");
	failpoint("exec.1-planned");
	int failed = plan_parse(plan, length, 1, &shim.plan, &err) < 0 || start(NULL, &err) < 0;
	failpoint("exec.3-running");
	client_open(client, connection);
	if (failed) {
		if (shim.pid > 0) {
			syscall(SYS_pidfd_send_signal, shim.pidfd, SIGKILL, NULL, 0);
			waitpid(shim.pid, NULL, __WALL);
		}
		client_reply(client, FRAME_PLAN, &err);
		return;
	}
	cgroup_close(&shim.cgroup);
	shim.status = STATUS_RUNNING;
	shim.started_ns = now_realtime_ns();
	shim_encode_state(&shim, state);
	client->attached = ATTACH_STDIN | ATTACH_STDOUT | ATTACH_STDERR;
	client->stall_ms = UINT32_MAX;
	if (client_reply(client, FRAME_PLAN, NULL) < 0 || client_send(client, FRAME_STATE_IS, state, sizeof(state)) < 0)
		shim_drop(&shim, client);
	shim_loop(&shim);
}
