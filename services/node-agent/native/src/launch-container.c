#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bundle.h"
#include "child.h"
#include "creds.h"
#include "cursor.h"
#include "failpoint.h"
#include "init.h"
#include "io.h"
#include "launch-userns.h"
#include "launch.h"
#include "network.h"
#include "oci-container.h"
#include "self.h"
#include "shim.h"
#include "socket.h"
#include "storage-limit.h"
#include "userns.h"

enum { LOCK_MILLISECONDS = 15000, PREPARE_MILLISECONDS = 60000 };

static struct shim shim;

static int make_folder(const char *path, mode_t mode, struct err *err)
{
	return mkdir(path, mode) < 0 && errno != EEXIST ? err_sys(err, "write bundle", "%s", path) : 0;
}

/* Written before anything of it is carried out: `cleanup` goes by it. */
static int take_plan(const uint8_t *bytes, size_t length, struct err *err)
{
	CLEANUP_CLOSE int file = openat(shim.bundle, "plan", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (file < 0 || write_all(file, bytes, length) < 0)
		return err_sys(err, "write bundle", "plan");
	unlinkat(shim.bundle, "exit", 0);
	if (plan_parse(bytes, length, 0, &shim.plan, err) < 0)
		return -1;
	if ((shim.plan.upper && make_folder(shim.plan.upper, 0755, err) < 0) || (shim.plan.work && make_folder(shim.plan.work, 0700, err) < 0))
		return -1;
	return storage_limit_prepare(&shim.plan, err) < 0 ? -1 : make_folder(shim.plan.log_directory, 0700, err);
}

/* A file of the bundle: u32 mode, name, zero, bytes. */
static int take_file(const uint8_t *payload, size_t length, struct err *err)
{
	struct cursor cursor = { payload, payload + length, 0 };
	mode_t mode = (mode_t)cursor_number(&cursor, 4);
	const char *name = (const char *)cursor.at;
	size_t room = (size_t)(cursor.end - cursor.at), size = cursor.bad ? 0 : strnlen(name, room);

	if (size == 0 || size == room || name[0] == '.' || memchr(name, '/', size))
		return err_set(err, EINVAL, "write bundle", "a file needs a mode and a plain name");
	CLEANUP_CLOSE int file = openat(shim.bundle, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode & 07777);
	if (file < 0 || write_all(file, name + size + 1, room - size - 1) < 0)
		return err_sys(err, "write bundle", "%s", name);
	return 0;
}

static uint64_t clone_flags(const struct plan *plan)
{
	uint64_t flags = CLONE_NEWNS;

	if (plan->namespaces[NS_PID].mode == NS_PRIVATE)
		flags |= CLONE_NEWPID;
	if (plan->namespaces[NS_NET].mode == NS_PRIVATE)
		flags |= CLONE_NEWNET;
	/* With a user namespace made by its root, for the root of its message queues is whose namespace it is. */
	if (plan->namespaces[NS_IPC].mode == NS_PRIVATE && plan->namespaces[NS_USER].mode == NS_HOST)
		flags |= CLONE_NEWIPC;
	if (plan->namespaces[NS_UTS].mode == NS_PRIVATE)
		flags |= CLONE_NEWUTS;
	return flags;
}

static int open_joined(struct err *err)
{
	for (int kind = NS_PID; kind < NS_USER; kind++) {
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

static pid_t clone_process(struct err *err)
{
	int pid_namespace = shim.joined[NS_PID], group = cgroup_v2_group(&shim.cgroup);

	if (shim.userns >= 0)
		return userns_clone(shim.userns, pid_namespace, clone_flags(&shim.plan), group, &shim.pidfd, err);
	/* Changes only where our children go. */
	if (pid_namespace >= 0 && setns(pid_namespace, CLONE_NEWPID) < 0)
		return err_sys(err, "join namespace", "pid");
	return child_clone(clone_flags(&shim.plan), group, &shim.pidfd, err);
}

static int clone_init(struct err *err)
{
	int inner;

	if (open_joined(err) < 0 || userns_prepare(&shim, err) < 0 || sync_pair(&shim.sync, &inner, err) < 0)
		return -1;
	shim.pid = clone_process(err);
	if (shim.pid == 0) {
		close(shim.sync);
		stdio_close_shim(&shim.stdio);
		init_main(&shim, inner);
	}
	close(inner);
	for (int kind = NS_PID; kind < NS_USER; kind++)
		if (shim.joined[kind] >= 0)
			close(shim.joined[kind]);
	userns_close_premounts(&shim);
	stdio_close_child(&shim.stdio);
	return shim.pid < 0 ? -1 : 0;
}

static int wait_ready(int client, struct err *err)
{
	struct pollfd waits[] = { { .fd = shim.sync, .events = POLLIN }, { .fd = client, .events = POLLRDHUP } };
	struct sync_message message;
	int master;

	if (poll(waits, 2, PREPARE_MILLISECONDS) < 1)
		return err_set(err, ETIMEDOUT, "prepare", "the container was not ready within 60 s");
	if (!waits[0].revents)
		return err_set(err, ECANCELED, "prepare", "who wanted the container has left");
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

/* Before its mount is made. */
static int make_api_socket(struct err *err)
{
	return shim.plan.api ? api_open(&shim.api, shim.plan.api, shim.plan.id, err) : 0;
}

/* Limits and devices are for the runtime to apply, in the groups made here. */
static int prepare_oci(struct err *err)
{
	if (log_open(&shim.log, shim.plan.log_directory, shim.plan.log_max_bytes, shim.plan.log_max_files, err) < 0 ||
	    cgroup_open(&shim.cgroup, shim.plan.cgroup, err) < 0 || cgroup_create(&shim.cgroup, err) < 0 ||
	    stdio_make(&shim.plan.process, &shim.stdio, err) < 0 || make_api_socket(err) < 0 || oci_prepare(&shim, err) < 0 ||
	    storage_limit_hold(&shim.plan, err) < 0)
		return -1;
	shim.listener = socket_listen("control.sock", err);
	return shim.listener < 0 ? -1 : 0;
}

/* A child that has failed meanwhile is why nothing else could be done with it. */
static void take_failure(struct err *err)
{
	struct pollfd wait = { .fd = shim.sync, .events = POLLIN };
	struct sync_message message;
	int master = -1;

	if (poll(&wait, 1, 0) == 1 && sync_receive(shim.sync, &message, &master) == 1 && message.kind == SYNC_FAILED)
		*err = message.err;
	if (master >= 0)
		close(master);
}

static int prepare(int client, struct warnings *warnings, struct err *err)
{
	if (oci_is(&shim))
		return prepare_oci(err);
	if (log_open(&shim.log, shim.plan.log_directory, shim.plan.log_max_bytes, shim.plan.log_max_files, err) < 0 ||
	    cgroup_open(&shim.cgroup, shim.plan.cgroup, err) < 0 || cgroup_create(&shim.cgroup, err) < 0 ||
	    cgroup_limits(&shim.cgroup, &shim.plan.limits, warnings, err) < 0 ||
	    cgroup_devices(&shim.cgroup, shim.plan.device_rules, shim.plan.device_rule_count, err) < 0 ||
	    stdio_make(&shim.plan.process, &shim.stdio, err) < 0 || make_api_socket(err) < 0)
		return -1;
	failpoint("run.3-grouped");
	if (clone_init(err) < 0)
		return -1;
	failpoint("run.4-cloned");
	if (userns_set_oom_score(&shim, err) < 0 || shim_make_network(&shim, err) < 0) {
		take_failure(err);
		return -1;
	}
	failpoint("run.5-linked");
	if (sync_send(shim.sync, SYNC_JOINED, NULL, -1) < 0)
		return wait_ready(client, err) < 0 ? -1 : err_set(err, EPIPE, "prepare", "the first process is gone");
	/* Asked for only now, so that the container does not inherit it; refused without CAP_SYS_RESOURCE. */
	write_file_at(AT_FDCWD, "/proc/self/oom_score_adj", "-500");
	if (wait_ready(client, err) < 0 || (shim.userns >= 0 && creds_rlimits(shim.pid, &shim.plan.process, err) < 0) ||
	    storage_limit_hold(&shim.plan, err) < 0)
		return -1;
	failpoint("run.6-ready");
	shim.listener = socket_listen("control.sock", err);
	return shim.listener < 0 ? -1 : bundle_write_pid(shim.bundle, "init.pid", shim.pid, err);
}

struct shim *launch_unsupervised(const struct plan *plan, const struct stdio *stdio, int (*created)(pid_t pid, struct err *err), struct warnings *warnings,
				 struct err *err)
{
	shim_init(&shim);
	shim.plan = *plan;
	shim.stdio = *stdio;
	if (cgroup_open(&shim.cgroup, plan->cgroup, err) < 0 || cgroup_create(&shim.cgroup, err) < 0 ||
	    cgroup_limits(&shim.cgroup, &plan->limits, warnings, err) < 0 ||
	    cgroup_devices(&shim.cgroup, plan->device_rules, plan->device_rule_count, err) < 0 || clone_init(err) < 0)
		return NULL;
	struct err pid = { .code = shim.pid };
	if (created(shim.pid, err) == 0) {
		/* To whom it cannot be said is gone, and what it said before comes out here. */
		sync_send(shim.sync, SYNC_JOINED, &pid, -1);
		if (wait_ready(-1, err) == 0)
			return &shim;
	}
	kill(shim.pid, SIGKILL);
	waitpid(shim.pid, NULL, __WALL);
	return NULL;
}

/* Nothing may be left of an attempt that failed. */
static void undo(void)
{
	struct err ignored;

	if (shim.pid > 0) {
		kill(shim.pid, SIGKILL);
		waitpid(shim.pid, NULL, __WALL);
	}
	links_delete(&shim.endpoints);
	dns_close(&shim.dns);
	api_close(&shim.api);
	if (shim.plan.has_network && (shim.pid > 0 || oci_is(&shim)))
		network_delete(shim.plan.network.host_interface, &ignored);
	if (shim.cgroup.count > 0) {
		cgroup_kill(&shim.cgroup, 2000);
		cgroup_remove(&shim.cgroup, &ignored);
	}
	unlinkat(shim.bundle, "control.sock", 0);
	unlinkat(shim.bundle, "init.pid", 0);
	unlinkat(shim.bundle, "shim.pid", 0);
}

/* The identities, i32 pid and u64 start ticks of this process and of the first one, then what could not be applied. */
static int report_prepared(struct client *client, const struct warnings *warnings)
{
	uint8_t payload[24 + sizeof(warnings->text)];
	const pid_t pids[] = { getpid(), shim.pid };
	size_t length = strlen(warnings->text);

	for (int index = 0; index < 2; index++) {
		int32_t pid = (int32_t)pids[index];
		uint64_t ticks = process_start_ticks(pids[index]);

		memcpy(payload + 12 * index, &pid, 4);
		memcpy(payload + 12 * index + 4, &ticks, 8);
	}
	memcpy(payload + 24, warnings->text, length);
	return client_reply(client, FRAME_PLAN, NULL) < 0 ? -1 : client_send(client, FRAME_PREPARED, payload, 24 + length);
}

static int take_bundle(int connection, const char *path, struct err *err)
{
	struct frame frame;

	if (make_folder(path, 0700, err) < 0 || (shim.bundle = bundle_enter(path, err)) < 0 ||
	    (shim.lock = bundle_lock(shim.bundle, LOCK_MILLISECONDS, connection, err)) < 0)
		return -1;
	self_title("atoll-shim run %s", path);
	failpoint("run.1-locked");
	for (;;) {
		if (frame_read(connection, &frame, PLAN_MAX_BYTES, err) < 0)
			return -1;
		/* Not freed: the plan points into it as long as the shim lives. */
		if (frame.type == FRAME_PLAN)
			return take_plan(frame.payload, frame.length, err);
		int result = frame.type == FRAME_FILE ? take_file(frame.payload, frame.length, err)
						      : err_set(err, EINVAL, "read the plan", "a frame that is no file and no plan");
		free(frame.payload);
		if (result < 0)
			return -1;
	}
}

void launch_container(int connection, const char *bundle)
{
	struct client *client = &shim.clients[0];
	struct warnings warnings = { "" };
	struct err err = { 0 };

	shim_init(&shim);
	int failed = take_bundle(connection, bundle, &err) < 0;
	failpoint("run.2-planned");
	failed = failed || prepare(connection, &warnings, &err) < 0;
	failpoint("run.7-noted");
	client_open(client, connection);
	if (failed) {
		if (shim.lock >= 0)
			undo();
		client_reply(client, FRAME_PLAN, &err);
		return;
	}
	shim.launcher = client;
	if (report_prepared(client, &warnings) < 0)
		shim_shut_down(&shim);
	failpoint("run.8-told");
	shim_loop(&shim);
	shim_sync_exit(&shim);
	shim_leave_network(&shim);
}
