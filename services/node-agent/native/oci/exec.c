#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "launch.h"
#include "oci.h"
#include "plan-records.h"

static const char STEP[] = "exec";

/* --user <uid>[:<gid>] */
static int parse_user(const char *text, struct process_plan *process, struct err *err)
{
	char *end;
	unsigned long uid = strtoul(text, &end, 10), gid = 0;

	if (end != text && *end == ':')
		gid = strtoul(end + 1, &end, 10);
	if (end == text || *end || uid > INT32_MAX || gid > INT32_MAX)
		return err_set(err, EINVAL, STEP, "the user %s is not of the form <uid>[:<gid>]", text);
	process->uid = (uint32_t)uid;
	process->gid = (uint32_t)gid;
	return 0;
}

/* The container's own process with what the command line says otherwise. */
static int from_arguments(const struct options *options, struct process_plan *process, struct err *err)
{
	if (options->rest_count == 0)
		return err_set(err, EINVAL, STEP, "process args cannot be empty");
	process->argv.count = 0;
	for (int index = 0; index < options->rest_count; index++)
		if (plan_append(&process->argv, options->rest[index], err) < 0)
			return -1;
	for (size_t index = 0; index < options->env.count; index++)
		if (plan_append(&process->env, options->env.items[index], err) < 0)
			return -1;
	process->tty = options->tty;
	if (options->cwd)
		process->cwd = options->cwd;
	if (options->no_new_privs)
		process->no_new_privs = 1;
	if (spec_apparmor(options->apparmor, process) < 0)
		return err_set(err, ENOTSUP, STEP, "--apparmor %s: this kernel has no AppArmor, or it is off", options->apparmor);
	if (spec_selinux(options->process_label, &process->selinux) < 0)
		return err_set(err, ENOTSUP, STEP, "--process-label %s: it is malformed, or this kernel has no SELinux, or it is off", options->process_label);
	if (options->gids.count || options->caps.count)
		return err_set(err, EINVAL, STEP, "--additional-gids and --cap are not supported by this runtime: give --process");
	return options->user ? parse_user(options->user, process, err) : 0;
}

static int from_file(const char *path, struct process_plan *process, struct json_document *document, struct err *err)
{
	size_t length;
	CLEANUP_FREE char *bytes = read_file_at(AT_FDCWD, path, JSON_MAX_BYTES, &length);
	const uint8_t *seccomp = process->seccomp;
	const char *apparmor = process->apparmor, *selinux = process->selinux;
	uint32_t seccomp_length = process->seccomp_length;

	if (!bytes)
		return err_sys(err, STEP, "process file %s", path);
	if (json_parse(bytes, length, document, err) < 0)
		return -1;
	memset(process, 0, sizeof(*process));
	process->umask = 022;
	if (spec_process(document->nodes, "process", process, err) < 0)
		return -1;
	process->seccomp = seccomp;
	process->seccomp_length = seccomp_length;
	if (!process->apparmor)
		process->apparmor = apparmor;
	if (!process->selinux)
		process->selinux = selinux;
	return 0;
}

static int check(struct container *container, struct options *options, struct err *err)
{
	enum container_status status = container_status(container);

	if (status == CONTAINER_STOPPED)
		return err_set(err, EINVAL, STEP, "cannot exec a container that has stopped");
	if (status == CONTAINER_PAUSED && !options->ignore_paused)
		return err_set(err, EINVAL, STEP, "cannot exec in a paused container (use --ignore-paused to override)");
	return status == CONTAINER_CREATING ? err_set(err, EINVAL, STEP, "the container is still being created") : 0;
}

int oci_command_exec(struct options *options, struct err *err)
{
	static struct container container;
	static struct spec spec;
	static struct plan plan;
	struct json_document document = { 0 };
	struct stdio stdio;
	char path[4200];

	if (!options->id)
		return fail_usage(err, "exec needs the id of a container");
	if (container_open(&container, options->id, err) < 0 || check(&container, options, err) < 0)
		return 255;
	snprintf(path, sizeof(path), "%s/config.json", container.folder);
	spec.plan.id = container.id;
	if (spec_read(container.bundle, path, &spec, err) < 0)
		return 255;
	plan.id = container.id;
	plan.process = spec.plan.process;
	plan.cgroup = container.cgroup;
	plan.has_target = 1;
	plan.target = container.init;
	if ((options->process ? from_file(options->process, &plan.process, &document, err) : from_arguments(options, &plan.process, err)) < 0)
		return 255;
	if (plan.process.tty != !!options->console_socket) {
		err_set(err, EINVAL, "terminal", plan.process.tty ? "cannot allocate tty without setting console socket"
								   : "cannot use console socket if the process has no terminal");
		return 255;
	}
	plan.process.preserve_fds = (unsigned)options->preserve_fds;
	plan.process.outlives_us = options->detach;
	if (own_streams(&stdio, plan.process.tty, err) < 0)
		return 255;
	struct shim *made = launch_exec_unsupervised(&plan, &stdio, err);
	if (!made || (plan.process.tty && send_console(options->console_socket, made->stdio.out, err) < 0) ||
	    write_pid_file(options->pid_file, made->pid, err) < 0)
		return 255;
	return options->detach ? 0 : wait_code(made->pid);
}
