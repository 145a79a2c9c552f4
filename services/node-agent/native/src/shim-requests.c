#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bundle.h"
#include "failpoint.h"
#include "cursor.h"
#include "io.h"
#include "oci-container.h"
#include "shim.h"

static const char *const STATUS_NAMES[] = { "created", "running", "paused", "exited" };

static int check_status(const struct shim *shim, enum status wanted, const char *what, struct err *err)
{
	if (shim->status == wanted && !(wanted == STATUS_CREATED && shim->starting))
		return 0;
	return err_set(err, EBUSY, "state", "cannot %s: the container is %s", what, STATUS_NAMES[shim->status]);
}

/* The whole of it happens here, and other clients wait. Without a process there is nothing to come back to: it ends as a failed one does. */
static int start_oci(struct shim *shim, struct client *client, struct err *err)
{
	int failed = oci_start(shim, err) < 0;

	if (failed) {
		shim->exec_failed = 1;
		shim->failure = *err;
	} else {
		shim->started_ns = now_realtime_ns();
		shim->status = STATUS_RUNNING;
	}
	if (client_reply(client, FRAME_START, failed ? err : NULL) < 0)
		shim_drop(shim, client);
	if (failed) {
		shim_finish(shim);
	} else {
		shim_announce(shim);
		shim_feed_stdin(shim);
	}
	return 0;
}

static int start(struct shim *shim, struct client *client, struct err *err)
{
	if (check_status(shim, STATUS_CREATED, "start", err) < 0)
		return -1;
	failpoint("start.1-asked");
	if (oci_is(shim))
		return start_oci(shim, client, err);
	if (!shim->is_exec && bundle_note_start(shim->bundle, err) < 0)
		return -1;
	if (sync_send(shim->sync, SYNC_START, NULL, -1) < 0)
		return err_sys(err, "start child", "the prepared process is gone");
	failpoint("start.2-released");
	shim->starting = 1;
	shim->starter = client;
	return 0;
}

static int send_signal(struct shim *shim, struct cursor *payload, struct err *err)
{
	int sig = (int)cursor_number(payload, 4);
	int all = (int)cursor_number(payload, 1);

	if (payload->bad || sig < 1 || sig > 64)
		return err_set(err, EINVAL, "signal", "%d is not a signal", sig);
	if (shim->status == STATUS_EXITED)
		return err_set(err, ESRCH, "signal", "the process has ended");
	if (shim->pid == 0)
		return check_status(shim, STATUS_RUNNING, "signal", err);
	if (all)
		cgroup_signal(&shim->cgroup, sig);
	else if (oci_is(shim) && !shim->is_exec)
		return oci_signal(shim, sig, err);
	else if (syscall(SYS_pidfd_send_signal, shim->pidfd, sig, NULL, 0) < 0)
		return err_sys(err, "signal", "signal %d", sig);
	/* A frozen process does not even die. */
	if (sig == SIGKILL && shim->status == STATUS_PAUSED)
		return cgroup_freeze(&shim->cgroup, 0, err);
	return 0;
}

static int set_paused(struct shim *shim, int paused, struct err *err)
{
	if (shim->is_exec)
		return err_set(err, EINVAL, "state", "an exec cannot be paused by itself");
	if (check_status(shim, paused ? STATUS_RUNNING : STATUS_PAUSED, paused ? "pause" : "unpause", err) < 0 ||
	    (oci_is(shim) ? oci_set_paused(shim, paused, err) : cgroup_freeze(&shim->cgroup, paused, err)) < 0)
		return -1;
	shim->status = paused ? STATUS_PAUSED : STATUS_RUNNING;
	shim_announce(shim);
	return 0;
}

static int update_oci(struct shim *shim, const struct limits_plan *limits, struct err *err)
{
	if (!limits->runtime_resources)
		return err_set(err, EINVAL, "apply limit", "limits for another runtime are needed in its own form too");
	if (shim->pid > 0)
		return oci_update(shim, limits->runtime_resources, err);
	char *copy = strdup(limits->runtime_resources);
	if (!copy)
		return err_set(err, ENOMEM, "apply limit", "out of memory");
	free(shim->runtime_resources);
	shim->runtime_resources = copy;
	return 0;
}

static int update(struct shim *shim, const uint8_t *payload, size_t length, struct err *err)
{
	struct limits_plan limits;
	struct warnings warnings = { "" };
	int result = -1;

	if (shim->is_exec)
		return err_set(err, EINVAL, "state", "an exec has no limits of its own");
	if (limits_parse(payload, length, &limits, err) == 0)
		result = oci_is(shim) ? update_oci(shim, &limits, err) : cgroup_limits(&shim->cgroup, &limits, &warnings, err);
	limits_free(&limits);
	if (result == 0 && warnings.text[0])
		return err_set(err, EOPNOTSUPP, "apply limit", "%s", warnings.text);
	return result;
}

static int attach(struct shim *shim, struct client *client, struct cursor *payload, struct err *err)
{
	int flags = (int)cursor_number(payload, 1) & 7;
	uint32_t stall = (uint32_t)cursor_number(payload, 4);

	if (payload->bad)
		return err_set(err, EINVAL, "attach", "malformed request");
	if (shim->status == STATUS_EXITED)
		return err_set(err, ESRCH, "state", "cannot attach: the container is exited");
	client->attached = flags;
	client->stall_ms = stall;
	client->progress_ms = now_monotonic_ms();
	return 0;
}

static int take_stdin(struct shim *shim, struct client *client, const uint8_t *payload, size_t length)
{
	if (!(client->attached & ATTACH_STDIN) || (shim->stdio.in < 0 && !shim_awaits_terminal(shim)) || shim->stdin_ending || length == 0)
		return 0;
	/* No client is read while more than STDIN_LIMIT waits, so this stays below two frames and the limit. */
	uint8_t *grown = realloc(shim->stdin_bytes, shim->stdin_end + length);
	if (!grown)
		return -1;
	memcpy(grown + shim->stdin_end, payload, length);
	shim->stdin_bytes = grown;
	shim->stdin_end += length;
	shim_feed_stdin(shim);
	return 0;
}

static int end_stdin(struct shim *shim, struct client *client)
{
	if ((client->attached & ATTACH_STDIN) && shim->plan.process.stdin_mode == STDIN_ONCE && !shim->stdio.tty) {
		shim->stdin_ending = 1;
		shim_feed_stdin(shim);
	}
	return 0;
}

static int resize(struct shim *shim, struct cursor *payload)
{
	struct winsize size = { 0 };

	size.ws_row = (unsigned short)cursor_number(payload, 2);
	size.ws_col = (unsigned short)cursor_number(payload, 2);
	if (!payload->bad && shim->stdio.tty && shim->stdio.out >= 0)
		ioctl(shim->stdio.out, TIOCSWINSZ, &size);
	return 0;
}

static int answer_state(struct shim *shim, struct client *client)
{
	uint8_t answer[2 + STATE_BYTES] = { FRAME_STATE, 1 };

	shim_encode_state(shim, answer + 2);
	return client_send(client, FRAME_REPLY, answer, sizeof(answer));
}

void shim_shut_down(struct shim *shim)
{
	shim->shutdown = 1;
	if (shim->pid == 0)
		return shim_finish(shim);
	syscall(SYS_pidfd_send_signal, shim->pidfd, SIGKILL, NULL, 0);
}

int shim_request(struct shim *shim, struct client *client, uint8_t type, const uint8_t *payload, size_t length)
{
	struct cursor cursor = { payload, payload + length, 0 };
	struct err err = { 0 };
	int result;

	switch (type) {
	case FRAME_STDIN:
		return take_stdin(shim, client, payload, length);
	case FRAME_STDIN_END:
		return end_stdin(shim, client);
	case FRAME_RESIZE:
		return resize(shim, &cursor);
	case FRAME_STATE:
		return answer_state(shim, client);
	case FRAME_SUBSCRIBE: {
		uint8_t state[STATE_BYTES];

		client->subscribed = 1;
		shim_encode_state(shim, state);
		if (client_reply(client, type, NULL) < 0)
			return -1;
		return client_send(client, FRAME_STATE_IS, state, sizeof(state));
	}
	case FRAME_START:
		result = start(shim, client, &err);
		if (result == 0)
			return 0; /* answered once the exec has worked or failed */
		break;
	case FRAME_SHUTDOWN:
		result = check_status(shim, STATUS_CREATED, "shut down", &err);
		if (result == 0) {
			shim->shutdown_asker = client;
			shim_shut_down(shim);
			return 0; /* answered once all is taken down */
		}
		break;
	case FRAME_KILL:
		result = send_signal(shim, &cursor, &err);
		break;
	case FRAME_ATTACH:
		result = attach(shim, client, &cursor, &err);
		break;
	case FRAME_PAUSE:
	case FRAME_UNPAUSE:
		result = set_paused(shim, type == FRAME_PAUSE, &err);
		break;
	case FRAME_UPDATE:
		result = update(shim, payload, length, &err);
		break;
	case FRAME_CONNECT:
		result = shim_connect(shim, payload, length, &err);
		break;
	default:
		return -1;
	}
	return client_reply(client, type, result < 0 ? &err : NULL);
}
