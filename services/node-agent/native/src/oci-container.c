#include "oci-container.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "bundle.h"
#include "extract.h"
#include "io.h"
#include "oci-runtime.h"

static const char CONSOLE[] = "console.sock", PID_FILE[] = "runtime.pid";
static const struct oci_child NO_STREAMS = { -1, -1, -1, NULL };

static int call(const struct plan *plan, const char *const *arguments, struct oci_child child, unsigned milliseconds, struct err *err)
{
	CLEANUP_FREE char *bundle = getcwd(NULL, 0);

	if (!bundle)
		return err_sys(err, "run the runtime", "find the bundle");
	return oci_run(plan->runtime, bundle, arguments, child, milliseconds, err);
}

static int create(struct shim *shim, struct err *err)
{
	const struct plan *plan = &shim->plan;
	const struct stdio *stdio = &shim->stdio;
	struct oci_child child = { stdio->child_in, stdio->child_out, stdio->child_error, &plan->process };
	const char *arguments[] = { "create", "--bundle", ".", "--pid-file", PID_FILE, plan->id, NULL, NULL, NULL };
	CLEANUP_CLOSE int console = -1;

	if (plan->process.tty) {
		console = console_listen(CONSOLE, err);
		if (console < 0)
			return -1;
		arguments[5] = "--console-socket";
		arguments[6] = CONSOLE;
		arguments[7] = plan->id;
	}
	unlink(PID_FILE);
	if (call(plan, arguments, child, OCI_CREATE_MILLISECONDS, err) < 0)
		return -1;
	stdio_close_child(&shim->stdio);
	pid_t pid = oci_read_pid(PID_FILE, err);
	if (pid < 0)
		return -1;
	shim->pidfd = pidfd_open(pid, 0);
	if (shim->pidfd < 0)
		return err_sys(err, "find process", "process %d of the runtime", pid);
	shim->pid = pid;
	if (!plan->process.tty)
		return 0;
	int master = console_receive(console, CONSOLE, plan->process.rows, plan->process.cols, err);
	if (master < 0)
		return -1;
	shim->stdio.out = master;
	shim->stdio.in = plan->process.stdin_mode == STDIN_NULL ? -1 : master;
	return 0;
}

int oci_start(struct shim *shim, struct err *err)
{
	const char *const arguments[] = { "start", shim->plan.id, NULL };

	if (create(shim, err) < 0 || bundle_write_pid(shim->bundle, "init.pid", shim->pid, err) < 0)
		return -1;
	if (shim->runtime_resources && oci_update(shim, shim->runtime_resources, err) < 0)
		return -1;
	if (bundle_note_start(shim->bundle, err) < 0)
		return -1;
	return call(&shim->plan, arguments, NO_STREAMS, OCI_CALL_MILLISECONDS, err);
}

static int resume(struct shim *shim, struct err *err)
{
	const char *const arguments[] = { "resume", shim->plan.id, NULL };

	return call(&shim->plan, arguments, NO_STREAMS, OCI_CALL_MILLISECONDS, err);
}

int oci_signal(struct shim *shim, int sig, struct err *err)
{
	char number[16];
	const char *const arguments[] = { "kill", shim->plan.id, number, NULL };

	snprintf(number, sizeof(number), "%d", sig);
	if (call(&shim->plan, arguments, NO_STREAMS, OCI_CALL_MILLISECONDS, err) < 0) {
		if (pidfd_send_signal(shim->pidfd, 0, NULL, 0) < 0 && errno == ESRCH)
			return err_set(err, ESRCH, "signal", "the process has ended");
		return -1;
	}
	/* Runtimes that do not thaw what they kill would leave it frozen for ever. One that did has nothing to resume. */
	if (sig == SIGKILL && shim->status == STATUS_PAUSED) {
		struct err ignored;

		resume(shim, &ignored);
		shim->thawed = 1;
	}
	return 0;
}

int oci_set_paused(struct shim *shim, int paused, struct err *err)
{
	const char *const arguments[] = { "pause", shim->plan.id, NULL };

	if (!paused && shim->thawed)
		return 0;
	return paused ? call(&shim->plan, arguments, NO_STREAMS, OCI_CALL_MILLISECONDS, err) : resume(shim, err);
}

int oci_update(struct shim *shim, const char *resources, struct err *err)
{
	const char *const arguments[] = { "update", "--resources", "-", shim->plan.id, NULL };
	CLEANUP_CLOSE int file = memfd_create("resources", MFD_CLOEXEC);

	if (file < 0 || write_all(file, resources, strlen(resources)) < 0 || lseek(file, 0, SEEK_SET) < 0)
		return err_sys(err, "apply limit", "hand the limits to the runtime");
	if (call(&shim->plan, arguments, (struct oci_child){ file, -1, -1, NULL }, OCI_CALL_MILLISECONDS, err) == 0)
		return 0;
	snprintf(err->step, sizeof(err->step), "apply limit");
	return -1;
}

void oci_delete(const struct plan *plan)
{
	const char *const arguments[] = { "delete", "--force", plan->id, NULL };
	struct err ignored;

	/* What a runtime cannot delete goes with the processes, groups and folders, which are ours. */
	if (access(OCI_STATE, F_OK) == 0)
		call(plan, arguments, NO_STREAMS, OCI_CALL_MILLISECONDS, &ignored);
	/* Its link goes with the network. Where this is not the process that mounted it, it is not there. */
	umount2(OCI_NAMESPACES "/net", MNT_DETACH);
	remove_tree(AT_FDCWD, OCI_STATE);
	unlink(CONSOLE);
	unlink(PID_FILE);
}
