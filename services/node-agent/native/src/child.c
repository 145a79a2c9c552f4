#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "apparmor.h"
#include "creds.h"
#include "failpoint.h"
#include "io.h"
#include "program.h"
#include "selinux.h"
#include "user.h"

pid_t child_clone(uint64_t flags, int group, int *pidfd, struct err *err)
{
	struct clone_args args = {
		.flags = flags | CLONE_PIDFD | (group >= 0 ? CLONE_INTO_CGROUP : 0),
		.cgroup = group >= 0 ? (uint64_t)group : 0,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
		/* A sibling ends as its maker would. */
		.exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD,
	};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	return pid < 0 ? err_sys(err, "clone", "clone3 with flags %#llx", (unsigned long long)flags) : (pid_t)pid;
}

int child_begin(struct err *err)
{
	sigset_t none;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(err, "start child", "prctl");
	/* Node ignores some signals, and what is ignored survives exec. */
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return err_sys(err, "start child", "sigprocmask");
	return 0;
}

_Noreturn void child_fail(int sync, const struct err *err)
{
	sync_send(sync, SYNC_FAILED, err, -1);
	_exit(125);
}

int process_open(const struct identity *process, struct err *err)
{
	int pidfd = pidfd_open(process->pid, 0);

	if (pidfd < 0)
		return err_sys(err, "find process", "process %d", process->pid);
	/* The descriptor pins the process: when the time fits now, it is the one that was meant. */
	if (process_start_ticks(process->pid) != process->ticks) {
		close(pidfd);
		return err_set(err, ESRCH, "find process", "process %d is not the one that was meant", process->pid);
	}
	return pidfd;
}

int namespace_open(const struct ns_plan *namespace, struct err *err)
{
	if (namespace->mode == NS_JOIN)
		return process_open(&namespace->process, err);
	int fd = open(namespace->path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "join namespace", "%s", namespace->path) : fd;
}

/* Whoever connects takes the pair's place: its end of the connection learns how the exec went. */
static void accept_starter(int listener, int sync)
{
	int connection;

	do
		connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	while (connection < 0 && errno == EINTR);
	if (connection < 0 || dup3(connection, sync, O_CLOEXEC) < 0)
		_exit(125);
	close(connection);
	close(listener);
}

static void wait_for_start(int sync)
{
	struct sync_message message;

	/* Zero is the shim's end: then nobody is left to start us. */
	if (sync_receive(sync, &message, NULL) != 1 || message.kind != SYNC_START)
		_exit(125);
}

static int check_mapped(const struct user *user, uint32_t size, struct err *err)
{
	uint32_t largest = user->uid;

	for (size_t index = 0; index < user->group_count; index++)
		if (user->groups[index] > largest)
			largest = user->groups[index];
	return largest < size ? 0 : err_set(err, EINVAL, "set user",
					    "user or group %u is not one of the %u ids of the container's user namespace", largest, size);
}

int child_open_attributes(struct shim *shim, struct err *err)
{
	const struct process_plan *process = &shim->plan.process;

	if (process->apparmor && (shim->apparmor = apparmor_open(err)) < 0)
		return -1;
	return process->selinux && (shim->selinux = selinux_open(err)) < 0 ? -1 : 0;
}

/* All but the streams, what the program is to get, the pair, the listener and the attributes of security modules. */
static void close_others(const struct shim *shim, int sync)
{
	const struct process_plan *process = &shim->plan.process;
	const int kept[] = { sync, process->start_listener, shim->apparmor, shim->selinux };
	unsigned from = 3 + process->preserve_fds;

	for (;;) {
		unsigned next = ~0u;

		for (size_t index = 0; index < sizeof(kept) / sizeof(*kept); index++)
			if (kept[index] > 0 && (unsigned)kept[index] >= from && (unsigned)kept[index] < next)
				next = (unsigned)kept[index];
		if (next > from)
			close_range(from, next - 1, 0);
		if (next == ~0u)
			return;
		from = next + 1;
	}
}

void child_finish(struct shim *shim, int master, int sync, struct err *err)
{
	static struct user user;
	struct process_plan *process = &shim->plan.process;
	CLEANUP_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0) {
		err_sys(err, "enter root", "open /");
		return;
	}
	if (user_resolve(root, process, &user, err) < 0 || (shim->userns >= 0 && check_mapped(&user, shim->ids.size, err) < 0) ||
	    stdio_install(&shim->stdio, user.uid, err) < 0)
		return;
	/* In a user namespace the shim sets them, later. */
	if (shim->userns < 0 && creds_rlimits(0, process, err) < 0)
		return;
	if (process->exact_groups)
		memmove(user.groups, user.groups + 1, --user.group_count * sizeof(*user.groups));
	/* As in Docker: that of a container is made, an exec has to find its own. */
	if (program_enter_cwd(root, process->cwd, !shim->plan.has_target, err) < 0)
		return;
	umask(process->umask);
	if (creds_become(process, &user, err) < 0)
		return;
	failpoint("init.3-become");
	/* Callers of the OCI command line want to hear it from `create`. */
	char found[PATH_MAX];
	if (process->start_listener && program_find(process, found, sizeof(found), err) < 0)
		return;
	/* Nobody supervises it: it stays when we go. */
	if ((process->outlives_us || process->start_listener) && prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) < 0) {
		err_sys(err, "start child", "prctl");
		return;
	}
	if (sync_send(sync, SYNC_READY, NULL, master) < 0) {
		err_sys(err, "start child", "tell the shim");
		return;
	}
	/* Nothing but the streams and the pair may be open while user code is near. */
	close_others(shim, sync);
	if (process->start_listener)
		accept_starter(process->start_listener, sync);
	wait_for_start(sync);
	failpoint("init.4-released");
	if (process->before_exec && process->before_exec(shim->plan.host_pid, err) < 0)
		return;
	if (process->apparmor && apparmor_set(shim->apparmor, process->apparmor, err) < 0)
		return;
	if (process->selinux && selinux_set(shim->selinux, process->selinux, err) < 0)
		return;
	program_exec(process, &user, err);
}
