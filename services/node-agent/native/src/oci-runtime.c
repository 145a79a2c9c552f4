#include "oci-runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "creds.h"
#include "io.h"
#include "json.h"

enum { MAX_ARGUMENTS = 32, LOG_BYTES = 64 * 1024 };

static const char STEP[] = "run the runtime";

static void install(int fd, int target)
{
	int from = fd >= 0 ? fd : open("/dev/null", O_RDWR);

	/* Above the three: what is a target of another one is not overwritten. */
	if (from < 0 || dup2(from, target) < 0)
		_exit(126);
}

static _Noreturn void become_runtime(const char *runtime, const char *const *arguments, struct oci_child child)
{
	static char *const environment[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	struct err ignored;
	int fds[] = { child.in, child.out, child.error };

	if (child_begin(&ignored) < 0)
		_exit(126);
	for (int index = 0; index < 3; index++)
		if (fds[index] >= 0 && fds[index] < 3 && (fds[index] = fcntl(fds[index], F_DUPFD, 3)) < 0)
			_exit(126);
	for (int index = 0; index < 3; index++)
		install(fds[index], index);
	close_range(3, ~0u, 0);
	/* What the runtime installs for the container comes on top of it. */
	if (child.seccomp && creds_install_seccomp(child.seccomp, &ignored) < 0)
		_exit(126);
	execve(runtime, (char *const *)(uintptr_t)arguments, environment);
	_exit(126);
}

/* Docker's rule: what of a failure is the fault of the program's name. */
static int code_of(const char *message)
{
	if (!strstr(message, "exec"))
		return 0;
	if (strstr(message, "executable file") || strstr(message, "o such file or directory"))
		return ENOENT;
	return strstr(message, "ermission denied") || strstr(message, "is a directory") || strstr(message, "xec format error") ? EACCES : 0;
}

/* The last line of the log that is an error; Docker's words follow this phrase, which it puts in front itself. */
static int explain(const char *log, const char *command, int code, struct err *err)
{
	static const char PHRASE[] = "unable to start container process: ";
	CLEANUP_FREE char *text = read_file_at(AT_FDCWD, log, LOG_BYTES, NULL);
	char *save = NULL;
	int known = 0;

	err_set(err, 0, STEP, "%s ended with code %d and gave no reason", command, code);
	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		struct json_document document;
		struct err ignored;
		int parsed = json_parse(line, strlen(line), &document, &ignored);
		const char *level = parsed == 0 ? json_text(json_get(document.nodes, "level")) : NULL;
		const char *message = parsed == 0 ? json_text(json_get(document.nodes, "msg")) : NULL;

		if (message && (!known || (level && strcmp(level, "error") == 0))) {
			const char *rest = strstr(message, PHRASE);
			int cause = code_of(message);

			known = 1;
			err_set(err, cause, cause ? "exec" : STEP, "%s", cause && rest ? rest + strlen(PHRASE) : message);
		}
		json_free(&document);
	}
	return -1;
}

static int wait_end(pid_t pid, int pidfd, const char *command, unsigned milliseconds, siginfo_t *info, struct err *err)
{
	uint64_t deadline = now_monotonic_ms() + milliseconds;
	int late = 0;

	for (;;) {
		uint64_t now = now_monotonic_ms();
		struct pollfd wait = { .fd = pidfd, .events = POLLIN };

		if (poll(&wait, 1, now < deadline ? (int)(deadline - now) : 0) > 0)
			break;
		if (now < deadline)
			continue;
		pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
		late = 1;
		break;
	}
	while (waitid(P_PID, (id_t)pid, info, WEXITED | __WALL) < 0 && errno == EINTR)
		;
	return late ? err_set(err, ETIMEDOUT, "wait for the runtime", "%s did not end within %u s", command, milliseconds / 1000) : 0;
}

int oci_run(const char *runtime, const char *bundle, const char *const *arguments, struct oci_child child, unsigned milliseconds,
	    struct err *err)
{
	CLEANUP_FREE char *state = NULL;
	const char *argv[MAX_ARGUMENTS + 8] = { runtime };
	char log[32];
	siginfo_t info = { 0 };
	size_t count = 1, given = 0;
	int pidfd;

	snprintf(log, sizeof(log), "runtime.log.%d", (int)getpid());
	if (asprintf(&state, "%s/" OCI_STATE, bundle) < 0) {
		state = NULL;
		return err_set(err, ENOMEM, STEP, "out of memory");
	}
	argv[count++] = "--root";
	argv[count++] = state;
	argv[count++] = "--log";
	argv[count++] = log;
	argv[count++] = "--log-format";
	argv[count++] = "json";
	while (arguments[given] && given < MAX_ARGUMENTS)
		argv[count++] = arguments[given++];
	unlink(log);
	if (access(runtime, X_OK) < 0)
		return err_sys(err, STEP, "%s", runtime);
	pid_t pid = child_clone(0, -1, &pidfd, err);
	if (pid < 0)
		return -1;
	if (pid == 0)
		become_runtime(runtime, argv, child);
	int result = wait_end(pid, pidfd, arguments[0], milliseconds, &info, err);
	close(pidfd);
	if (result == 0 && (info.si_code != CLD_EXITED || info.si_status != 0))
		result = explain(log, arguments[0], info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status, err);
	unlink(log);
	return result;
}

pid_t oci_read_pid(const char *name, struct err *err)
{
	CLEANUP_FREE char *text = read_file_at(AT_FDCWD, name, 32, NULL);
	uint64_t pid = 0;

	if (!text)
		return err_sys(err, STEP, "read %s", name);
	unlink(name);
	text[strcspn(text, "\n")] = '\0';
	if (parse_decimal(text, INT32_MAX, &pid) < 0 || pid == 0)
		return err_set(err, EINVAL, STEP, "its pid file says no pid");
	return (pid_t)pid;
}

/* For its interruption of waits only. */
static void on_child(int sig)
{
	(void)sig;
}

int oci_adopt(struct err *err)
{
	struct sigaction action = { .sa_handler = on_child, .sa_flags = SA_RESTART };

	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 || sigaction(SIGCHLD, &action, NULL) < 0)
		return err_sys(err, STEP, "become its children's parent");
	return 0;
}

void oci_reap(pid_t own)
{
	for (;;) {
		siginfo_t info = { 0 };

		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0 || info.si_pid == 0 || info.si_pid == own)
			return;
		waitpid(info.si_pid, NULL, __WALL);
	}
}
