#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "failpoint.h"
#include "io.h"
#include "oci-container.h"
#include "oci-runtime.h"
#include "shim.h"

enum { KILL_MILLISECONDS = 5000, LEAVE_MILLISECONDS = 10000, SYNC_DELAY_NANOSECONDS = 100000000 };

void shim_encode_state(const struct shim *shim, uint8_t *out)
{
	int32_t pid = shim->status == STATUS_EXITED ? 0 : (int32_t)shim->pid;

	out[0] = (uint8_t)shim->status;
	memcpy(out + 1, &pid, 4);
	memcpy(out + 5, &shim->code, 4);
	memcpy(out + 9, &shim->signal, 4);
	out[13] = (uint8_t)shim->oom;
	memcpy(out + 14, &shim->started_ns, 8);
	memcpy(out + 22, &shim->finished_ns, 8);
}

void shim_announce(struct shim *shim)
{
	uint8_t state[STATE_BYTES];

	shim_encode_state(shim, state);
	for (int index = 0; index < SHIM_CLIENTS; index++) {
		struct client *client = &shim->clients[index];

		if (!client_is_open(client))
			continue;
		if (shim->status == STATUS_EXITED && (client->subscribed || client->attached))
			shim_send(shim, client, FRAME_EXIT, state, sizeof(state));
		else if (client->subscribed)
			shim_send(shim, client, FRAME_STATE_IS, state, sizeof(state));
	}
}

void shim_exec_result(struct shim *shim)
{
	struct sync_message message;
	int result = sync_receive(shim->sync, &message, NULL);
	struct client *starter = shim->starter;

	close(shim->sync);
	shim->sync = -1;
	shim->starter = NULL;
	if (result == 1 && message.kind == SYNC_FAILED) {
		shim->exec_failed = 1;
		shim->failure = message.err;
		if (starter && client_is_open(starter) && client_reply(starter, FRAME_START, &shim->failure) < 0)
			shim_drop(shim, starter);
		return;
	}
	if (!shim->starting)
		return;
	shim->started_ns = now_realtime_ns();
	shim->status = STATUS_RUNNING;
	failpoint("start.3-running");
	if (starter && client_is_open(starter) && client_reply(starter, FRAME_START, NULL) < 0)
		shim_drop(shim, starter);
	shim_announce(shim);
	failpoint("start.4-told");
}

static void collect(struct shim *shim)
{
	siginfo_t info = { 0 };

	/* Made by a runtime that then could not start it. */
	if (oci_is(shim) && shim->exec_failed && shim->pid > 0)
		pidfd_send_signal(shim->pidfd, SIGKILL, NULL, 0);
	while (shim->pid > 0 && waitid(P_PID, (id_t)shim->pid, &info, WEXITED | __WALL) < 0 && errno == EINTR)
		;
	shim->finished_ns = now_realtime_ns();
	if (info.si_code == CLD_EXITED) {
		shim->code = info.si_status;
	} else {
		shim->signal = info.si_status;
		shim->code = 128 + info.si_status;
	}
	if (shim->exec_failed)
		shim->code = strcmp(shim->failure.step, "exec") != 0 ? 128 : shim->failure.code == ENOENT ? 127 : 126;
}

static void write_exit_file(struct shim *shim)
{
	char text[256];
	int length = snprintf(text, sizeof(text),
			      "{\"code\":%d,\"signal\":%d,\"oomKilled\":%s,\"startedAt\":\"%llu\",\"finishedAt\":\"%llu\",\"lost\":false}\n",
			      shim->code, shim->signal, shim->oom ? "true" : "false", (unsigned long long)shim->started_ns,
			      (unsigned long long)shim->finished_ns);

	shim->exit_file = write_file_atomic(shim->bundle, "exit", text, (size_t)length);
}

static void take_down(struct shim *shim)
{
	struct err ignored;

	if (oci_is(shim))
		oci_delete(&shim->plan);
	cgroup_remove(&shim->cgroup, &ignored);
	unlinkat(shim->bundle, "control.sock", 0);
	unlinkat(shim->bundle, "init.pid", 0);
	close(shim->listener);
	shim->listener = -1;
	/* Its sockets would keep the container's network. */
	links_release(&shim->endpoints);
	dns_close(&shim->dns);
	api_close(&shim->api);
	log_close(&shim->log);
	/* From here on a new shim may have the bundle. */
	unlinkat(shim->bundle, "shim.pid", 0);
	close(shim->lock);
	shim->lock = -1;
}

void shim_sync_exit(struct shim *shim)
{
	struct stat info;

	if (shim->exit_file < 0)
		return;
	nanosleep(&(struct timespec){ .tv_nsec = SYNC_DELAY_NANOSECONDS }, NULL);
	if (fstat(shim->exit_file, &info) == 0 && info.st_nlink > 0) {
		fdatasync(shim->exit_file);
		fsync(shim->bundle);
	}
	close(shim->exit_file);
}

void shim_finish(struct shim *shim)
{
	if (shim->sync >= 0)
		shim_exec_result(shim);
	collect(shim);
	failpoint(shim->is_exec ? "exec.4-collected" : "end.1-collected");
	if (!shim->is_exec) {
		shim->oom = cgroup_oom_kills(&shim->cgroup) > 0;
		cgroup_kill(&shim->cgroup, KILL_MILLISECONDS);
	}
	if (shim->stdio.out >= 0)
		shim_copy_output(shim, &shim->stdio.out, 1, 1);
	if (shim->stdio.error >= 0)
		shim_copy_output(shim, &shim->stdio.error, 2, 1);
	shim_close_stdin(shim);
	stdio_close_shim(&shim->stdio);
	shim->status = STATUS_EXITED;
	failpoint(shim->is_exec ? "exec.5-drained" : "end.2-drained");
	if (!shim->is_exec && !shim->shutdown)
		write_exit_file(shim);
	if (!shim->is_exec)
		failpoint("end.3-written");
	shim_announce(shim);
	failpoint(shim->is_exec ? "exec.6-told" : "end.4-told");
	if (!shim->is_exec)
		take_down(shim);
	if (!shim->is_exec)
		failpoint("end.5-taken-down");
	struct client *asker = shim->shutdown_asker;
	if (asker && client_is_open(asker) && client_reply(asker, FRAME_SHUTDOWN, NULL) < 0)
		shim_drop(shim, asker);
	uint64_t until = now_monotonic_ms() + LEAVE_MILLISECONDS;
	for (int index = 0; index < SHIM_CLIENTS; index++) {
		shim->clients[index].leaving = 1;
		shim->clients[index].leaving_until_ms = until;
	}
	shim->finished = 1;
}
