#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "io.h"
#include "oci.h"

enum { END_MILLISECONDS = 10000, RESOURCES_BYTES = 1 << 20 };

static struct container container;
static struct cgroup cgroup;

static int open_named(const struct options *options, const char *command, struct err *err)
{
	return options->id ? container_open(&container, options->id, err) : fail_usage(err, "%s needs the id of a container", command);
}

/* The config as it was at the creation. One that cannot be read any more does not hold up a deletion. */
static int read_copy(struct spec *spec, struct err *err)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s/config.json", container.folder);
	memset(spec, 0, sizeof(*spec));
	spec->plan.id = container.id;
	return spec_read(container.bundle, path, spec, err);
}

int oci_command_state(struct options *options, struct err *err)
{
	static struct spec spec;
	struct err ignored;

	if (open_named(options, "state", err) < 0)
		return 1;
	enum container_status status = container_status(&container);
	int known = read_copy(&spec, &ignored) == 0;
	container_write_state(&container, known ? &spec : NULL, STATUS_WORDS[status], status == CONTAINER_STOPPED ? 0 : container.init.pid, stdout);
	return 0;
}

static int parse_signal(const char *text, struct err *err)
{
	uint64_t number;

	if (parse_decimal(text, 64, &number) == 0)
		return (int)number;
	const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
	for (int sig = 1; sig < 32; sig++)
		if (sigabbrev_np(sig) && strcasecmp(sigabbrev_np(sig), name) == 0)
			return sig;
	if (strncasecmp(name, "RTMIN+", 6) == 0 && parse_decimal(name + 6, 30, &number) == 0)
		return SIGRTMIN + (int)number;
	return err_set(err, EINVAL, "signal", "unknown signal \"%s\"", text);
}

/* Signals the process that was meant and no other that has its number by now. */
static int signal_init(int sig, struct err *err)
{
	CLEANUP_CLOSE int pidfd = pidfd_open(container.init.pid, 0);

	if (pidfd < 0 || process_start_ticks(container.init.pid) != container.init.ticks || pidfd_send_signal(pidfd, sig, NULL, 0) < 0)
		return err_set(err, ESRCH, "signal", "container not running");
	return 0;
}

int oci_command_kill(struct options *options, struct err *err)
{
	if (open_named(options, "kill", err) < 0)
		return 1;
	int sig = parse_signal(options->rest_count > 0 ? options->rest[0] : "TERM", err);
	if (sig < 0)
		return 1;
	enum container_status status = container_status(&container);
	if (options->all) {
		/* Of all that is left, also when the first process has ended. */
		if (cgroup_open(&cgroup, container.cgroup, err) < 0)
			return 1;
		cgroup_signal(&cgroup, sig);
	} else if (status == CONTAINER_STOPPED || status == CONTAINER_CREATING) {
		err_set(err, ESRCH, "signal", "container not running");
		return 1;
	} else if (signal_init(sig, err) < 0) {
		return 1;
	}
	/* A frozen process does not even die. */
	if (sig == SIGKILL && status == CONTAINER_PAUSED && (options->all || cgroup_open(&cgroup, container.cgroup, err) == 0))
		return cgroup_freeze(&cgroup, 0, err) < 0 ? 1 : 0;
	return 0;
}

static void wait_for_end(void)
{
	uint64_t deadline = now_monotonic_ms() + END_MILLISECONDS;

	while (container.init.pid > 0 && container_status(&container) != CONTAINER_STOPPED && now_monotonic_ms() < deadline)
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

int delete_container(struct container *which, const struct spec *spec, struct err *err)
{
	struct err ignored;
	int result = 0;

	container = *which;
	if (which->init.pid > 0)
		signal_init(SIGKILL, &ignored);
	if (which->cgroup[0] && cgroup_open(&cgroup, which->cgroup, &ignored) == 0) {
		cgroup_kill(&cgroup, END_MILLISECONDS);
		wait_for_end();
		result = cgroup_remove(&cgroup, err);
		cgroup_close(&cgroup);
	}
	container_remove(which);
	if (spec && hooks_run(spec, which, HOOK_POSTSTOP, "stopped", 0, &ignored) < 0)
		log_message("warning", ignored.text);
	return result;
}

int oci_command_delete(struct options *options, struct err *err)
{
	static struct spec spec;
	struct err ignored;

	if (open_named(options, "delete", err) < 0)
		return options->id && options->force && err->code == ENOENT ? 0 : 1;
	enum container_status status = container_status(&container);
	if (status != CONTAINER_STOPPED && status != CONTAINER_CREATED && !options->force) {
		err_set(err, EINVAL, "delete", "cannot delete container %s that is not stopped: %s", container.id, STATUS_WORDS[status]);
		return 1;
	}
	int known = read_copy(&spec, &ignored) == 0;
	struct container which = container;
	return delete_container(&which, known ? &spec : NULL, err) < 0 ? 1 : 0;
}

static int freeze(struct options *options, int frozen, struct err *err)
{
	if (open_named(options, frozen ? "pause" : "resume", err) < 0)
		return 1;
	enum container_status status = container_status(&container);
	if (frozen ? status != CONTAINER_RUNNING && status != CONTAINER_CREATED : status != CONTAINER_PAUSED) {
		err_set(err, EINVAL, "freeze", frozen ? "container not running" : "container not paused");
		return 1;
	}
	return cgroup_open(&cgroup, container.cgroup, err) < 0 || cgroup_freeze(&cgroup, frozen, err) < 0 ? 1 : 0;
}

int oci_command_pause(struct options *options, struct err *err)
{
	return freeze(options, 1, err);
}

int oci_command_resume(struct options *options, struct err *err)
{
	return freeze(options, 0, err);
}

static int collect_pids(char *list, size_t size, struct err *err)
{
	if (cgroup_open(&cgroup, container.cgroup, err) < 0)
		return -1;
	for (int index = 0; index < cgroup.count; index++) {
		if (cgroup.hierarchies[index].group < 0)
			continue;
		CLEANUP_FREE char *text = read_file_at(cgroup.hierarchies[index].group, "cgroup.procs", 1 << 20, NULL);
		if (text && *text) {
			snprintf(list, size, "%s", text);
			return 0;
		}
	}
	*list = '\0';
	return 0;
}

int oci_command_ps(struct options *options, struct err *err)
{
	static char pids[1 << 20];
	char *save = NULL;
	const char *comma = "";

	if (open_named(options, "ps", err) < 0 || collect_pids(pids, sizeof(pids), err) < 0)
		return 1;
	if (options->format && strcmp(options->format, "json") == 0) {
		printf("[");
		for (char *line = strtok_r(pids, "\n", &save); line; line = strtok_r(NULL, "\n", &save), comma = ",")
			printf("%s%s", comma, line);
		printf("]\n");
		return 0;
	}
	for (char *at = pids; *at; at++)
		if (*at == '\n')
			*at = at[1] ? ',' : '\0';
	if (!*pids)
		return 0;
	const char *const argv[] = { "ps", "-o", "user,pid,ppid,pcpu,stime,tty,time,args", "-p", pids, NULL };
	fflush(stdout);
	execve("/usr/bin/ps", (char *const *)(uintptr_t)argv, (char *const[]){ NULL });
	execve("/bin/ps", (char *const *)(uintptr_t)argv, (char *const[]){ NULL });
	err_sys(err, "ps", "run ps");
	return 1;
}

/* --memory 1024 and the like as the JSON that --resources has. */
static int limits_from_flags(char **flags, struct plan *plan, struct err *err)
{
	static const struct { const char *name; enum limit_kind kind; } known[] = {
		{ "--memory", LIMIT_MEMORY }, { "--memory-swap", LIMIT_MEMORY_SWAP }, { "--memory-reservation", LIMIT_RESERVATION },
		{ "--cpu-share", LIMIT_CPU_SHARES }, { "--cpu-quota", LIMIT_CPU_QUOTA }, { "--cpu-period", LIMIT_CPU_PERIOD },
		{ "--cpu-rt-period", LIMIT_RT_PERIOD }, { "--cpu-rt-runtime", LIMIT_RT_RUNTIME }, { "--pids-limit", LIMIT_PIDS },
		{ "--blkio-weight", LIMIT_BLKIO_WEIGHT },
	};

	for (; flags && flags[0] && flags[1]; flags += 2) {
		size_t index = 0;
		char *end;

		if (strcmp(flags[0], "--cpuset-cpus") == 0 || strcmp(flags[0], "--cpuset-mems") == 0) {
			plan->limits.texts[strcmp(flags[0], "--cpuset-cpus") == 0 ? LIMIT_CPUSET_CPUS : LIMIT_CPUSET_MEMS] = flags[1];
			continue;
		}
		while (index < sizeof(known) / sizeof(*known) && strcmp(known[index].name, flags[0]) != 0)
			index++;
		errno = 0;
		long long value = strtoll(flags[1], &end, 10);
		if (index == sizeof(known) / sizeof(*known))
			return err_set(err, EINVAL, "apply limit", "%s is not supported by this runtime", flags[0]);
		if (errno || end == flags[1] || *end)
			return err_set(err, EINVAL, "apply limit", "%s %s is not a number", flags[0], flags[1]);
		plan->limits.numbers[known[index].kind] = value;
		plan->limits.set |= 1u << known[index].kind;
	}
	return 0;
}

static int limits_from_file(const char *path, struct plan *plan, struct err *err)
{
	static struct json_document document;
	CLEANUP_FREE char *bytes = malloc(RESOURCES_BYTES);
	CLEANUP_CLOSE int file = strcmp(path, "-") == 0 ? dup(0) : open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t count = -1;

	/* Standard input may be a socket, which has no path. */
	while (bytes && file >= 0 && length < RESOURCES_BYTES && (count = read(file, bytes + length, RESOURCES_BYTES - length)) > 0)
		length += (size_t)count;
	if (count < 0)
		return err_sys(err, "apply limit", "read the resources %s", path);
	return json_parse(bytes, length, &document, err) < 0 ? -1 : spec_resources(document.nodes, plan, err);
}

int oci_command_update(struct options *options, struct err *err)
{
	static struct plan plan;
	struct warnings warnings = { "" };

	if (open_named(options, "update", err) < 0)
		return 1;
	enum container_status status = container_status(&container);
	if (status == CONTAINER_STOPPED || status == CONTAINER_CREATING) {
		err_set(err, EINVAL, "apply limit", "container not running");
		return 1;
	}
	if ((options->resources ? limits_from_file(options->resources, &plan, err) : limits_from_flags(options->limits, &plan, err)) < 0 ||
	    cgroup_open(&cgroup, container.cgroup, err) < 0 || cgroup_limits(&cgroup, &plan.limits, &warnings, err) < 0)
		return 1;
	if (warnings.text[0])
		err_set(err, EOPNOTSUPP, "apply limit", "%s", warnings.text);
	return warnings.text[0] ? 1 : 0;
}

int oci_command_list(struct options *options, struct err *err)
{
	int json = options->format && strcmp(options->format, "json") == 0;
	const char *comma = "";
	DIR *root = opendir(globals.root);
	struct dirent *entry;
	struct err ignored;

	(void)err;
	printf(json ? "[" : "ID PID STATUS BUNDLE CREATED\n");
	while (root && (entry = readdir(root))) {
		if (entry->d_name[0] == '.' || container_open(&container, entry->d_name, &ignored) < 0)
			continue;
		enum container_status status = container_status(&container);
		pid_t pid = status == CONTAINER_STOPPED ? 0 : container.init.pid;

		if (json) {
			printf("%s", comma);
			container_write_state(&container, NULL, STATUS_WORDS[status], pid, stdout);
			comma = ",";
		} else {
			printf("%s %d %s %s %s\n", container.id, (int)pid, STATUS_WORDS[status], container.bundle, container.created);
		}
	}
	if (json)
		printf("]\n");
	if (root)
		closedir(root);
	return 0;
}
