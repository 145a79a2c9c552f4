#include "oci-exec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "io.h"
#include "oci-runtime.h"

struct names {
	char process[32], pid[32], console[32];
};

static int write_process(const char *name, const char *json, struct err *err)
{
	CLEANUP_CLOSE int file = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	return file < 0 || write_all(file, json, strlen(json)) < 0 ? err_sys(err, "write bundle", "%s", name) : 0;
}

static int run(struct shim *shim, const struct names *names, struct err *err)
{
	const struct plan *plan = &shim->plan;
	const struct stdio *stdio = &shim->stdio;
	struct oci_child child = { stdio->child_in, stdio->child_out, stdio->child_error, &plan->process };
	const char *arguments[] = { "exec", "--detach", "--process", names->process, "--pid-file", names->pid, plan->runtime_container, NULL, NULL, NULL };
	CLEANUP_CLOSE int console = -1;

	if (plan->process.tty) {
		console = console_listen(names->console, err);
		if (console < 0)
			return -1;
		arguments[6] = "--console-socket";
		arguments[7] = names->console;
		arguments[8] = plan->runtime_container;
	}
	if (oci_run(plan->runtime, plan->runtime_bundle, arguments, child, OCI_CREATE_MILLISECONDS, err) < 0)
		return -1;
	shim->pid = oci_read_pid(names->pid, err);
	if (shim->pid < 0)
		return -1;
	shim->pidfd = pidfd_open(shim->pid, 0);
	if (shim->pidfd < 0)
		return err_sys(err, "find process", "process %d of the runtime", shim->pid);
	if (!plan->process.tty)
		return 0;
	int master = console_receive(console, names->console, plan->process.rows, plan->process.cols, err);
	if (master < 0)
		return -1;
	shim->stdio.out = master;
	shim->stdio.in = plan->process.stdin_mode == STDIN_NULL ? -1 : master;
	return 0;
}

int oci_exec(struct shim *shim, struct err *err)
{
	struct names names;

	if (chdir(shim->plan.runtime_bundle) < 0)
		return err_sys(err, "enter bundle", "%s", shim->plan.runtime_bundle);
	/* Of this process alone, as its pid is. */
	snprintf(names.process, sizeof(names.process), "exec.%d.json", (int)getpid());
	snprintf(names.pid, sizeof(names.pid), "exec.%d.pid", (int)getpid());
	snprintf(names.console, sizeof(names.console), "exec.%d.sock", (int)getpid());
	unlink(names.process);
	if (oci_adopt(err) < 0 || write_process(names.process, shim->plan.runtime_process, err) < 0)
		return -1;
	int result = run(shim, &names, err);
	unlink(names.process);
	unlink(names.pid);
	unlink(names.console);
	stdio_close_child(&shim->stdio);
	return result;
}
