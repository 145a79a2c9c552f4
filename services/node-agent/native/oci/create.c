#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io.h"
#include "launch.h"
#include "oci.h"

static const char STEP[] = "create";

/* What the hooks inside the container's process know of the container. */
static struct spec spec;
static struct container container;

int write_pid_file(const char *path, pid_t pid, struct err *err)
{
	char temporary[PATH_MAX], text[16];
	int length = snprintf(text, sizeof(text), "%d", (int)pid);

	if (!path)
		return 0;
	snprintf(temporary, sizeof(temporary), "%s.%d", path, (int)getpid());
	CLEANUP_CLOSE int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (file < 0 || write_all(file, text, (size_t)length) < 0 || rename(temporary, path) < 0)
		return err_sys(err, STEP, "write the pid file %s", path);
	return 0;
}

/* Copies of our own, for the executor closes what it hands on. */
int own_streams(struct stdio *stdio, int tty, struct err *err)
{
	*stdio = (struct stdio){ tty, -1, -1, -1, -1, -1, -1 };
	if (tty)
		return 0;
	stdio->child_in = fcntl(0, F_DUPFD_CLOEXEC, 3);
	stdio->child_out = fcntl(1, F_DUPFD_CLOEXEC, 3);
	stdio->child_error = fcntl(2, F_DUPFD_CLOEXEC, 3);
	return stdio->child_in < 0 || stdio->child_out < 0 || stdio->child_error < 0 ? err_sys(err, "stdio", "copy a stream") : 0;
}

int send_console(const char *path, int master, struct err *err)
{
	static const char name[] = "/dev/pts/ptmx";
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	/* The address of a socket is short, a path may be long: by its folder it is short again. */
	const char *slash = strrchr(path, '/');
	CLEANUP_FREE char *folder_path = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	CLEANUP_CLOSE int folder = folder_path ? open(folder_path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	struct iovec part = { (void *)(uintptr_t)name, sizeof(name) - 1 };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = { 0 } };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes) };
	CLEANUP_CLOSE int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (folder < 0 ||
	    (size_t)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", folder, slash ? slash + 1 : path) >= sizeof(address.sun_path))
		return err_sys(err, "terminal", "the console socket %s", path);
	if (connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_sys(err, "terminal", "connect to the console socket %s", path);
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(rights), &master, sizeof(master));
	/* The flags are the terminal's own, not the descriptor's: who gets it expects it to block. */
	fcntl(master, F_SETFL, fcntl(master, F_GETFL) & ~O_NONBLOCK);
	return sendmsg(connection, &message, MSG_NOSIGNAL) < 0 ? err_sys(err, "terminal", "send the master") : 0;
}

int wait_code(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A container that asks for a network of its own and gets none from its caller has at least its loopback. */
static int raise_loopback(pid_t pid, struct err *err)
{
	char path[64];
	struct ifreq request = { .ifr_flags = IFF_UP | IFF_RUNNING };
	CLEANUP_CLOSE int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	strcpy(request.ifr_name, "lo");
	CLEANUP_CLOSE int inner = open(path, O_RDONLY | O_CLOEXEC);
	if (own < 0 || inner < 0 || setns(inner, CLONE_NEWNET) < 0)
		return err_sys(err, "network", "enter the container's namespace");
	CLEANUP_CLOSE int handle = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int result = handle < 0 ? -1 : ioctl(handle, SIOCSIFFLAGS, &request);
	if (result < 0)
		err_sys(err, "network", "bring up loopback");
	if (setns(own, CLONE_NEWNET) < 0)
		return err_sys(err, "network", "return to the own namespace");
	return result;
}

/* The namespaces are there, the root is not entered yet. */
static int runtime_hooks(pid_t pid, struct err *err)
{
	if (spec.plan.namespaces[NS_NET].mode == NS_PRIVATE && raise_loopback(pid, err) < 0)
		return -1;
	if (hooks_run(&spec, &container, HOOK_PRESTART, "creating", pid, err) < 0)
		return -1;
	return hooks_run(&spec, &container, HOOK_CREATE_RUNTIME, "creating", pid, err);
}

static int container_hooks(pid_t pid, struct err *err)
{
	return hooks_run(&spec, &container, HOOK_CREATE_CONTAINER, "creating", pid, err);
}

static int start_hooks(pid_t pid, struct err *err)
{
	return hooks_run(&spec, &container, HOOK_START_CONTAINER, "created", pid, err);
}

/* The socket `start` connects to: its name goes when it has. */
static int listen_for_start(struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "start.sock" };
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 4) < 0)
		return err_sys(err, STEP, "listen for the start");
	return listener;
}

static int read_config(const char *given, char **config, size_t *length, struct err *err)
{
	CLEANUP_FREE char *bundle = realpath(given ? given : ".", NULL);
	char path[PATH_MAX + 16];

	if (!bundle)
		return err_sys(err, STEP, "bundle %s", given);
	snprintf(container.bundle, sizeof(container.bundle), "%s", bundle);
	snprintf(path, sizeof(path), "%s/config.json", bundle);
	*config = read_file_at(AT_FDCWD, path, JSON_MAX_BYTES, length);
	if (!*config)
		return err_sys(err, STEP, "JSON specification file %s", path);
	memset(&spec, 0, sizeof(spec));
	spec.plan.id = container.id;
	return spec_read(bundle, path, &spec, err);
}

static int prepare(const struct options *options, struct err *err)
{
	struct plan *plan = &spec.plan;
	struct warnings warnings = { "" };
	struct stdio stdio;

	snprintf(container.cgroup, sizeof(container.cgroup), "%s", plan->cgroup);
	if (own_streams(&stdio, plan->process.tty, err) < 0)
		return -1;
	/* Masks need a place of ours to be made at, the root one to be mounted over. */
	if (asprintf(&spec.scratch, "%s/scratch", container.folder) < 0 || chdir(container.folder) < 0)
		return err_sys(err, STEP, "%s", container.folder);
	plan->log_directory = spec.scratch;
	plan->process.start_listener = listen_for_start(err);
	plan->process.preserve_fds = (unsigned)options->preserve_fds;
	plan->before_pivot = container_hooks;
	plan->process.before_exec = start_hooks;
	if (plan->process.start_listener < 0)
		return -1;
	struct shim *made = launch_unsupervised(plan, &stdio, runtime_hooks, &warnings, err);
	close(plan->process.start_listener);
	if (!made)
		return -1;
	if (warnings.text[0])
		log_message("warning", warnings.text);
	container.init.pid = made->pid;
	if (container_save_init(&container, made->pid, err) < 0)
		return -1;
	return plan->process.tty ? send_console(options->console_socket, made->stdio.out, err) : 0;
}

static int check_terminal(const struct options *options, struct err *err)
{
	int tty = spec.plan.process.tty;

	if (tty && !options->console_socket)
		return err_set(err, EINVAL, "terminal", "cannot allocate tty without setting console socket");
	if (!tty && options->console_socket)
		return err_set(err, EINVAL, "terminal", "cannot use console socket if the container's process has no terminal");
	return 0;
}

static int create(struct options *options, struct err *err)
{
	CLEANUP_FREE char *config = NULL;
	size_t length = 0;

	if (!options->id)
		return fail_usage(err, "create needs the id of a container");
	container.id = options->id;
	if (read_config(options->bundle, &config, &length, err) < 0)
		return -1;
	/* Paths of the caller's folder, before it is left. */
	char *pid_file = NULL, *socket = NULL, *here = getcwd(NULL, 0);
	if (!here || (options->pid_file && asprintf(&pid_file, "%s%s%s", options->pid_file[0] == '/' ? "" : here, options->pid_file[0] == '/' ? "" : "/", options->pid_file) < 0) ||
	    (options->console_socket &&
	     asprintf(&socket, "%s%s%s", options->console_socket[0] == '/' ? "" : here, options->console_socket[0] == '/' ? "" : "/", options->console_socket) < 0))
		return err_set(err, ENOMEM, STEP, "out of memory");
	options->pid_file = pid_file;
	options->console_socket = socket;
	if (check_terminal(options, err) < 0 || container_make(&container, options->id, err) < 0)
		return -1;
	snprintf(container.cgroup, sizeof(container.cgroup), "%s", spec.plan.cgroup);
	if (container_save(&container, config, length, err) == 0 && prepare(options, err) == 0 && write_pid_file(options->pid_file, container.init.pid, err) == 0)
		return 0;
	struct err ignored;
	delete_container(&container, &spec, &ignored);
	return -1;
}

int oci_command_create(struct options *options, struct err *err)
{
	return create(options, err) < 0 ? 1 : 0;
}

/* The other side is the container's first process, which tells why it cannot run its program, or ends the connection by doing so. */
static int start(const struct container *which, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "start.sock" };
	struct sync_message message;
	CLEANUP_CLOSE int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (chdir(which->folder) < 0 || connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_sys(err, "start", "reach the container's first process");
	if (sync_send(connection, SYNC_START, NULL, -1) < 0)
		return err_sys(err, "start", "tell the container's first process");
	unlink("start.sock");
	if (sync_receive(connection, &message, NULL) == 1 && message.kind == SYNC_FAILED) {
		*err = message.err;
		return -1;
	}
	return 0;
}

static int start_one(struct container *which, const struct spec *its, struct err *err)
{
	enum container_status status = container_status(which);

	if (status == CONTAINER_STOPPED)
		return err_set(err, EINVAL, "start", "cannot start a container that has stopped");
	if (status != CONTAINER_CREATED)
		return err_set(err, EINVAL, "start", "cannot start an already running container");
	struct err ignored;
	if (start(which, err) < 0)
		return -1;
	/* The program runs: a hook that fails is told of and no more, as the specification wants. */
	if (hooks_run(its, which, HOOK_POSTSTART, "running", which->init.pid, &ignored) < 0)
		log_message("warning", ignored.text);
	return 0;
}

int oci_command_start(struct options *options, struct err *err)
{
	char path[4200];

	if (!options->id)
		return fail_usage(err, "start needs the id of a container");
	if (container_open(&container, options->id, err) < 0)
		return 1;
	snprintf(path, sizeof(path), "%s/config.json", container.folder);
	spec.plan.id = container.id;
	return spec_read(container.bundle, path, &spec, err) < 0 || start_one(&container, &spec, err) < 0 ? 1 : 0;
}

int oci_command_run(struct options *options, struct err *err)
{
	struct err ignored;

	if (create(options, err) < 0)
		return 1;
	if (start_one(&container, &spec, err) < 0) {
		delete_container(&container, &spec, &ignored);
		return 1;
	}
	if (options->detach)
		return 0;
	int code = wait_code(container.init.pid);
	delete_container(&container, &spec, &ignored);
	return code;
}
