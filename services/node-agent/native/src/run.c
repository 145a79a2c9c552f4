#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bundle.h"
#include "child.h"
#include "commands.h"
#include "init.h"
#include "io.h"
#include "network.h"
#include "self.h"
#include "shim.h"

enum { LOCK_MILLISECONDS = 15000, PREPARE_MILLISECONDS = 60000 };

static struct shim shim;

static int open_plan(struct err *err)
{
	size_t length;
	CLEANUP_CLOSE int file = openat(shim.bundle, "plan", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char path[64];

	if (file < 0)
		return err_sys(err, "read the plan", "plan");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	/* Not freed: the plan points into it as long as the shim lives. */
	char *bytes = read_file_at(AT_FDCWD, path, PLAN_MAX_BYTES, &length);
	if (!bytes)
		return err_sys(err, "read the plan", "plan");
	return plan_parse((const uint8_t *)bytes, length, 0, &shim.plan, err);
}

static uint64_t clone_flags(const struct plan *plan)
{
	uint64_t flags = CLONE_NEWNS;

	if (plan->namespaces[NS_PID].mode == NS_PRIVATE)
		flags |= CLONE_NEWPID;
	if (plan->namespaces[NS_NET].mode == NS_PRIVATE)
		flags |= CLONE_NEWNET;
	if (plan->namespaces[NS_IPC].mode == NS_PRIVATE)
		flags |= CLONE_NEWIPC;
	if (plan->namespaces[NS_UTS].mode == NS_PRIVATE)
		flags |= CLONE_NEWUTS;
	return flags;
}

static int open_joined(struct err *err)
{
	for (int kind = NS_PID; kind < NS_KINDS; kind++) {
		const struct ns_plan *namespace = &shim.plan.namespaces[kind];

		shim.joined[kind] = -1;
		if (namespace->mode != NS_JOIN && namespace->mode != NS_PATH)
			continue;
		shim.joined[kind] = namespace_open(namespace, err);
		if (shim.joined[kind] < 0)
			return -1;
	}
	return 0;
}

static int clone_init(struct err *err)
{
	int inner;

	if (open_joined(err) < 0)
		return -1;
	/* Changes only where our children go. */
	if (shim.joined[NS_PID] >= 0 && setns(shim.joined[NS_PID], CLONE_NEWPID) < 0)
		return err_sys(err, "join namespace", "pid");
	if (sync_pair(&shim.sync, &inner, err) < 0)
		return -1;
	shim.pid = child_clone(clone_flags(&shim.plan), cgroup_v2_group(&shim.cgroup), &shim.pidfd, err);
	if (shim.pid == 0) {
		close(shim.sync);
		stdio_close_shim(&shim.stdio);
		init_main(&shim, inner);
	}
	close(inner);
	for (int kind = NS_PID; kind < NS_KINDS; kind++)
		if (shim.joined[kind] >= 0)
			close(shim.joined[kind]);
	stdio_close_child(&shim.stdio);
	return shim.pid < 0 ? -1 : 0;
}

static int connect_network(struct err *err)
{
	char path[64];

	if (!shim.plan.has_network)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)shim.pid);
	CLEANUP_CLOSE int netns = open(path, O_RDONLY | O_CLOEXEC);
	if (netns < 0)
		return err_sys(err, "network", "open the container's namespace");
	return network_connect(&shim.plan.network, netns, err);
}

static int wait_ready(struct err *err)
{
	struct pollfd wait = { .fd = shim.sync, .events = POLLIN };
	struct sync_message message;
	int master;

	if (poll(&wait, 1, PREPARE_MILLISECONDS) != 1)
		return err_set(err, ETIMEDOUT, "prepare", "the container was not ready within 60 s");
	int result = sync_receive(shim.sync, &message, &master);
	if (result == 1 && message.kind == SYNC_FAILED) {
		*err = message.err;
		return -1;
	}
	if (result != 1 || message.kind != SYNC_READY)
		return err_set(err, EPIPE, "prepare", "the first process ended while it was prepared");
	if (shim.stdio.tty) {
		if (master < 0 || fcntl(master, F_SETFL, O_NONBLOCK) < 0)
			return err_set(err, EBADF, "terminal", "no master was sent");
		shim.stdio.in = shim.stdio.out = master;
		if (shim.plan.process.stdin_mode == STDIN_NULL)
			shim.stdio.in = -1;
	}
	return 0;
}

static int prepare(struct warnings *warnings, struct err *err)
{
	if (open_plan(err) < 0)
		return -1;
	unlinkat(shim.bundle, "exit", 0);
	if (log_open(&shim.log, shim.plan.log_directory, shim.plan.log_max_bytes, shim.plan.log_max_files, err) < 0 ||
	    cgroup_open(&shim.cgroup, shim.plan.cgroup, err) < 0 || cgroup_create(&shim.cgroup, err) < 0 ||
	    cgroup_limits(&shim.cgroup, &shim.plan.limits, warnings, err) < 0 ||
	    cgroup_devices(&shim.cgroup, shim.plan.device_rules, shim.plan.device_rule_count, err) < 0 ||
	    stdio_make(&shim.plan.process, &shim.stdio, err) < 0 || clone_init(err) < 0)
		return -1;
	if (connect_network(err) < 0)
		return -1;
	if (sync_send(shim.sync, SYNC_JOINED, NULL, -1) < 0)
		return wait_ready(err) < 0 ? -1 : err_set(err, EPIPE, "prepare", "the first process is gone");
	/* Asked for only now, so that the container does not inherit it; refused without CAP_SYS_RESOURCE. */
	write_file_at(AT_FDCWD, "/proc/self/oom_score_adj", "-500");
	if (wait_ready(err) < 0)
		return -1;
	shim.listener = bundle_listen(err);
	return shim.listener < 0 ? -1 : bundle_write_pid(shim.bundle, "init.pid", shim.pid, err);
}

/* Nothing may be left of an attempt that failed. */
static void undo(void)
{
	struct err ignored;

	if (shim.pid > 0) {
		kill(shim.pid, SIGKILL);
		waitpid(shim.pid, NULL, __WALL);
		if (shim.plan.has_network)
			network_delete(shim.plan.network.host_interface, &ignored);
	}
	if (shim.cgroup.count > 0) {
		cgroup_kill(&shim.cgroup, 2000);
		cgroup_remove(&shim.cgroup, &ignored);
	}
	unlinkat(shim.bundle, "control.sock", 0);
	unlinkat(shim.bundle, "init.pid", 0);
	unlinkat(shim.bundle, "shim.pid", 0);
}

static void report_ready(const struct warnings *warnings)
{
	char line[4096];
	unsigned long at = (unsigned long)snprintf(line, sizeof(line),
		"{\"ok\":true,\"pid\":%d,\"startTicks\":\"%llu\",\"initPid\":%d,\"initStartTicks\":\"%llu\",\"warnings\":\"",
		(int)getpid(), (unsigned long long)process_start_ticks(getpid()), (int)shim.pid,
		(unsigned long long)process_start_ticks(shim.pid));
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	at = json_escape(line, at, sizeof(line) - 8, warnings->text);
	at += (unsigned long)snprintf(line + at, sizeof(line) - at, "\"}\n");
	write_all(1, line, at);
	/* The reader's end of file is the sign that the report is whole. */
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	close(null);
}

int command_run(int argc, char **argv)
{
	struct warnings warnings = { "" };
	struct err err = { 0 };

	if (argc != 1) {
		err_set(&err, EINVAL, "arguments", "usage: atoll-shim run <bundle>");
		err_report(&err, 1);
		return 2;
	}
	shim.listener = shim.sync = shim.pidfd = shim.lock = -1;
	shim.log.file = shim.log.directory = -1;
	for (int index = 0; index < SHIM_CLIENTS; index++)
		shim.clients[index].in = shim.clients[index].out = -1;
	if (self_detach(&err) < 0 || (shim.bundle = bundle_enter(argv[0], &err)) < 0 ||
	    (shim.lock = bundle_lock(shim.bundle, LOCK_MILLISECONDS, &err)) < 0) {
		err_report(&err, 1);
		return 1;
	}
	if (prepare(&warnings, &err) < 0) {
		undo();
		err_report(&err, 1);
		return 1;
	}
	report_ready(&warnings);
	shim_loop(&shim);
	return 0;
}
