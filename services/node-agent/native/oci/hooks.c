#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io.h"
#include "oci.h"

enum { MAX_WORDS = 1024, DEFAULT_SECONDS = 600 };

static const char STEP[] = "run hook";

const char *const HOOK_NAMES[HOOK_KINDS] = { "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop" };

static int check_one(const struct json *hook, const char *name, struct err *err)
{
	static const char *const known[] = { "path", "args", "env", "timeout", NULL };
	const char *path = NULL;
	int64_t timeout;

	if (spec_members(hook, "hooks", known, NULL, err) < 0 || spec_text(hook, "hooks", "path", &path, err) < 0 ||
	    spec_int(hook, "hooks", "timeout", 1, 86400, &timeout, err) < 0)
		return -1;
	return path && path[0] == '/' ? 0 : spec_bad(err, "hooks", name, "needs an absolute path");
}

int hooks_check(const struct json *hooks, struct err *err)
{
	static const char *const known[] = { "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop", NULL };

	if (spec_members(hooks, "hooks", known, NULL, err) < 0)
		return -1;
	for (int kind = 0; kind < HOOK_KINDS; kind++) {
		const struct json *list = json_get(hooks, HOOK_NAMES[kind]);

		for (const struct json *hook = list ? list->first : NULL; hook; hook = hook->next)
			if (check_one(hook, HOOK_NAMES[kind], err) < 0)
				return -1;
	}
	return 0;
}

static void words(const struct json *list, const char **out, const char *first)
{
	size_t count = 0;

	for (const struct json *item = list ? list->first : NULL; item && count < MAX_WORDS; item = item->next)
		if (json_text(item))
			out[count++] = item->text;
	if (count == 0 && first)
		out[count++] = first;
	out[count] = NULL;
}

/* `folder`: NULL stays where the process is, which in the container is the program's own folder. */
static _Noreturn void become_hook(const char *folder, const char *path, const char *const *argv, const char *const *env, int state)
{
	if (dup2(state, 0) < 0 || (folder && chdir(folder) < 0 && chdir("/") < 0))
		_exit(126);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	close_range(3, ~0u, 0);
	execve(path, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
	_exit(127);
}

static int run_one(const struct json *hook, const char *folder, int state, struct err *err)
{
	static const char *argv[MAX_WORDS + 1], *env[MAX_WORDS + 1];
	const char *path = json_text(json_get(hook, "path"));
	int64_t seconds = DEFAULT_SECONDS;
	int status = 0;

	words(json_get(hook, "args"), argv, path);
	words(json_get(hook, "env"), env, NULL);
	json_int64(json_get(hook, "timeout"), &seconds);
	if (lseek(state, 0, SEEK_SET) < 0)
		return err_sys(err, STEP, "%s", path);
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, STEP, "fork");
	if (pid == 0)
		become_hook(folder, path, argv, env, state);
	CLEANUP_CLOSE int pidfd = pidfd_open(pid, 0);
	struct pollfd wait = { .fd = pidfd, .events = POLLIN };
	int late = poll(&wait, 1, (int)seconds * 1000) == 0;
	if (late)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (late)
		return err_set(err, ETIMEDOUT, STEP, "hook %s did not end within %lld s", path, (long long)seconds);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_set(err, 0, STEP, "hook %s ended with %s %d", path, WIFEXITED(status) ? "code" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

int hooks_run(const struct spec *spec, const struct container *container, enum hook_kind kind, const char *status, pid_t pid, struct err *err)
{
	const struct json *list = json_get(spec->hooks, HOOK_NAMES[kind]);

	if (!list || !list->first)
		return 0;
	CLEANUP_CLOSE int state = memfd_create("state", MFD_CLOEXEC);
	FILE *out = state < 0 ? NULL : fdopen(dup(state), "w");
	if (!out)
		return err_sys(err, STEP, "write the state");
	container_write_state(container, spec, status, pid, out);
	fclose(out);
	for (const struct json *hook = list->first; hook; hook = hook->next)
		if (run_one(hook, kind == HOOK_START_CONTAINER ? NULL : container->bundle, state, err) < 0)
			return -1;
	return 0;
}
