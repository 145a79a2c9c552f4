#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundle.h"
#include "client.h"
#include "commands.h"
#include "extract.h"
#include "failpoint.h"
#include "io.h"
#include "launch.h"
#include "plan.h"
#include "self.h"
#include "socket.h"
#include "storage-limit.h"

static const char SOCKET[] = "spawner.sock";

/* The limit goes first: as long as there are files of its project, nobody else takes that. */
static int lift_limit(int parent, const char *name, const char *limited, struct err *err)
{
	if (!*limited)
		return 0;
	CLEANUP_CLOSE int tree = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return tree < 0 ? 0 : storage_limit_lift(tree, limited, err);
}

/* Folder, zero, name of what is to go in it; then, for a container, zero and the name of the folder in it that a limit stands on. */
static void remove_asked(int connection, const struct frame *frame)
{
	struct client client;
	struct err err = { 0 };
	const char *folder = (const char *)frame->payload, *end = folder + frame->length, *name = folder + strlen(folder) + 1;
	const char *limited = name >= end ? end : name + strlen(name) < end ? name + strlen(name) + 1 : end;
	int failed = name >= end || strchr(name, '/') || strchr(limited, '/');

	if (failed) {
		err_set(&err, EINVAL, "remove", "a folder and a plain name are needed");
	} else {
		CLEANUP_CLOSE int parent = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

		failpoint("remove.1-begun");
		failed = parent >= 0 && lift_limit(parent, name, limited, &err) < 0;
		failpoint("remove.2-lifted");
		if (!failed && (failed = parent < 0 || remove_tree(parent, name) < 0))
			err_sys(&err, "remove", "%s in %s", name, folder);
		failpoint("remove.3-gone");
	}
	client_open(&client, connection);
	client_reply(&client, FRAME_REMOVE, failed ? &err : NULL);
}

/* A process of its own for each connection: its first frame says what it is for. */
static void serve(int connection)
{
	struct client client;
	struct frame frame;
	struct err err = { 0 };

	if (frame_read(connection, &frame, PLAN_MAX_BYTES, &err) < 0)
		return;
	if (frame.type == FRAME_RUN) {
		launch_container(connection, (const char *)frame.payload);
	} else if (frame.type == FRAME_PLAN) {
		launch_exec(connection, frame.payload, frame.length);
	} else if (frame.type == FRAME_REMOVE) {
		remove_asked(connection, &frame);
	} else {
		err_set(&err, EINVAL, "arguments", "a connection begins with RUN, PLAN or REMOVE");
		client_open(&client, connection);
		client_reply(&client, frame.type, &err);
	}
}

static void become_shim(int listener, int connection)
{
	close(listener);
	for (int fd = 0; fd < 3; fd++) {
		close(fd);
		if (open("/dev/null", O_RDWR) != fd)
			_exit(1);
	}
	signal(SIGCHLD, SIG_DFL);
	setsid();
	serve(connection);
	_exit(0);
}

int command_spawner(int argc, char **argv)
{
	static const char READY[] = "ready\n";
	struct err err = { 0 };
	int folder, listener = -1;

	if (argc != 1) {
		err_set(&err, EINVAL, "arguments", "usage: atoll-shim spawner <folder>");
		err_report(&err, 1);
		return 2;
	}
	if (self_detach(&err) < 0 || (folder = bundle_enter(argv[0], &err)) < 0 || (listener = socket_listen(SOCKET, &err)) < 0) {
		err_report(&err, 1);
		return 1;
	}
	failpoint_arm();
	/* Containers begin with zero, however well the agent is kept from the kernel's out-of-memory killer. */
	write_file_at(AT_FDCWD, "/proc/self/oom_score_adj", "0");
	/* Shims are nobody's to wait for: how a container ended is in its bundle. */
	signal(SIGCHLD, SIG_IGN);
	if (write_all(1, READY, sizeof(READY) - 1) < 0)
		return 1;
	for (;;) {
		struct pollfd waits[] = { { .fd = listener, .events = POLLIN }, { .fd = 0, .events = POLLIN } };

		if (poll(waits, 2, -1) < 0 && errno != EINTR)
			return 1;
		/* The agent has ended; its shims go on. The socket's name may be the next one's already. */
		if (waits[1].revents)
			return 0;
		if (!waits[0].revents)
			continue;
		int connection = socket_accept(listener);
		if (connection < 0)
			continue;
		failpoint("spawner.1-accepted");
		if (fork() == 0)
			become_shim(listener, connection);
		close(connection);
	}
}
