#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "bundle.h"
#include "cgroup.h"
#include "commands.h"
#include "io.h"
#include "network.h"
#include "oci-container.h"
#include "plan.h"

/* The first process can only be alive when its death signal was lost; the start time says it is ours. */
static void kill_init(int bundle, int *had_init, unsigned long long *started_ns)
{
	CLEANUP_FREE char *text = read_file_at(bundle, "init.pid", 128, NULL);
	unsigned long long ticks;
	int pid;

	if (!text || sscanf(text, "%d %llu %llu", &pid, &ticks, started_ns) < 2)
		return;
	*had_init = 1;
	CLEANUP_CLOSE int pidfd = pidfd_open(pid, 0);
	if (pidfd >= 0 && process_start_ticks(pid) == ticks)
		pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
}

static int write_lost_exit(int bundle, unsigned long long started_ns, struct err *err)
{
	char text[200];
	int length = snprintf(text, sizeof(text),
			      "{\"code\":137,\"signal\":9,\"oomKilled\":false,\"startedAt\":\"%llu\",\"finishedAt\":\"%llu\",\"lost\":true}\n",
			      started_ns, (unsigned long long)now_realtime_ns());

	if (faccessat(bundle, "exit", F_OK, 0) == 0)
		return 0;
	CLEANUP_CLOSE int file = write_file_atomic(bundle, "exit", text, (size_t)length);
	return file < 0 || fdatasync(file) < 0 || fsync(bundle) < 0 ? err_sys(err, "write bundle", "exit") : 0;
}

static int clean(const char *path, struct err *err)
{
	static struct cgroup cgroup;
	static struct plan plan;
	unsigned long long started_ns = 0;
	int had_init = 0;
	size_t length;
	CLEANUP_CLOSE int bundle = bundle_enter(path, err);
	CLEANUP_CLOSE int lock = bundle < 0 ? -1 : bundle_lock(bundle, 0, -1, err);

	if (lock < 0)
		return -1;
	kill_init(bundle, &had_init, &started_ns);
	CLEANUP_FREE char *bytes = read_file_at(bundle, "plan", PLAN_MAX_BYTES, &length);
	int is_plan = bytes && plan_parse((const uint8_t *)bytes, length, 0, &plan, err) == 0;
	/* A plan that cannot be read was never carried out, unless somebody changed it since. */
	if (bytes && !is_plan && had_init)
		return -1;
	if (is_plan) {
		if (cgroup_open(&cgroup, plan.cgroup, err) < 0)
			return -1;
		if (plan.runtime)
			oci_delete(&plan);
		cgroup_kill(&cgroup, 5000);
		if (cgroup_remove(&cgroup, err) < 0 || (plan.has_network && network_delete(plan.network.host_interface, err) < 0))
			return -1;
		/* Links made later, and those that are in it as a whole, go with the container's network, as all its processes are gone. */
		for (size_t index = 0; index < plan.endpoints.count; index++)
			if (!plan.endpoints.items[index].parent && network_delete(plan.endpoints.items[index].link.host_interface, err) < 0)
				return -1;
	}
	if (had_init && write_lost_exit(bundle, started_ns, err) < 0)
		return -1;
	unlinkat(bundle, "control.sock", 0);
	unlinkat(bundle, "init.pid", 0);
	unlinkat(bundle, "shim.pid", 0);
	return 0;
}

int command_cleanup(int argc, char **argv)
{
	struct err err = { 0 };

	if (argc != 1)
		err_set(&err, EINVAL, "arguments", "usage: atoll-shim cleanup <bundle>");
	if (argc == 1 && clean(argv[0], &err) == 0)
		return 0;
	err_report(&err, 2);
	return 1;
}
