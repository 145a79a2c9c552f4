/* atoll-oci: containers by the command line of the OCI runtimes, for podman, containerd and the like. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io.h"
#include "oci.h"
#include "plan-records.h"
#include "self.h"

struct globals globals = { "/run/atoll-oci", NULL, "text", 0 };

static const struct command {
	const char *name;
	int (*run)(struct options *options, struct err *err);
	int enters_containers; /* then it must run from a read-only mount */
	int takes_rest;        /* what is behind the id is not ours to understand */
} commands[] = {
	{ "create", oci_command_create, 1, 0 }, { "run", oci_command_run, 1, 0 }, { "start", oci_command_start, 0, 0 },
	{ "state", oci_command_state, 0, 0 }, { "kill", oci_command_kill, 0, 0 }, { "delete", oci_command_delete, 0, 0 },
	{ "exec", oci_command_exec, 1, 1 }, { "ps", oci_command_ps, 0, 1 }, { "pause", oci_command_pause, 0, 0 },
	{ "resume", oci_command_resume, 0, 0 }, { "update", oci_command_update, 0, 0 }, { "spec", oci_command_spec, 0, 0 },
	{ "features", oci_command_features, 0, 0 }, { "list", oci_command_list, 0, 0 },
};

int fail_usage(struct err *err, const char *format, ...)
{
	va_list args;

	err->code = EINVAL;
	snprintf(err->step, sizeof(err->step), "arguments");
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return -1;
}

static void write_log(int file, const char *level, const char *text)
{
	time_t now = time(NULL);
	struct tm parts;
	char when[32];
	CLEANUP_CLOSE int copy = dup(file);
	FILE *out = copy < 0 ? NULL : fdopen(copy, "a");

	if (!out)
		return;
	copy = -1;
	gmtime_r(&now, &parts);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &parts);
	if (strcmp(globals.log_format, "json") == 0)
		fprintf(out, "{\"level\":\"%s\",\"msg\":", level);
	else
		fprintf(out, "time=\"%s\" level=%s msg=", when, level);
	put_json_text(out, text);
	if (strcmp(globals.log_format, "json") == 0)
		fprintf(out, ",\"time\":\"%s\"}", when);
	fputc('\n', out);
	fclose(out);
}

void log_message(const char *level, const char *text)
{
	int file = globals.log ? open(globals.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;

	write_log(file >= 0 ? file : 2, level, text);
	if (file < 0)
		return;
	close(file);
	if (strcmp(level, "error") == 0)
		dprintf(2, "%s\n", text);
}

/* Of an option with a value: the value, from `--name=value` or the next argument. */
static const char *value_of(char **argv, int *index, const char *name, struct err *err)
{
	const char *equals = strchr(argv[*index], '=');

	if (equals)
		return equals + 1;
	if (argv[*index + 1])
		return argv[++*index];
	fail_usage(err, "flag needs an argument: %s", name);
	return NULL;
}

static int is(const char *argument, const char *name)
{
	size_t length = strlen(name);

	return strncmp(argument, name, length) == 0 && (argument[length] == '\0' || argument[length] == '=');
}

static int global_option(char **argv, int *index, struct err *err)
{
	const struct { const char *name; const char **slot; } known[] = {
		{ "--root", &globals.root }, { "--log", &globals.log }, { "--log-format", &globals.log_format },
	};

	if (is(argv[*index], "--debug")) {
		globals.debug = 1;
		return 0;
	}
	if (is(argv[*index], "--systemd-cgroup"))
		return strcmp(argv[*index], "--systemd-cgroup=false") == 0 ? 0 : fail_usage(err, "--systemd-cgroup is not supported by this runtime: use the cgroupfs manager");
	if (is(argv[*index], "--rootless") || is(argv[*index], "--criu"))
		return value_of(argv, index, argv[*index], err) ? 0 : -1;
	for (size_t at = 0; at < sizeof(known) / sizeof(*known); at++)
		if (is(argv[*index], known[at].name)) {
			*known[at].slot = value_of(argv, index, known[at].name, err);
			return *known[at].slot ? 0 : -1;
		}
	return fail_usage(err, "flag provided but not defined: %s", argv[*index]);
}

struct flag { const char *names[2]; const char **text; int *on; struct text_list *list; uint64_t *number; };

static int command_option(struct options *options, char **argv, int *index, struct err *err)
{
	const struct flag flags[] = {
		{ { "--bundle", "-b" }, &options->bundle, NULL, NULL, NULL }, { { "--console-socket", NULL }, &options->console_socket, NULL, NULL, NULL },
		{ { "--pid-file", NULL }, &options->pid_file, NULL, NULL, NULL }, { { "--process", "-p" }, &options->process, NULL, NULL, NULL },
		{ { "--cwd", NULL }, &options->cwd, NULL, NULL, NULL }, { { "--user", "-u" }, &options->user, NULL, NULL, NULL },
		{ { "--resources", "-r" }, &options->resources, NULL, NULL, NULL }, { { "--format", "-f" }, &options->format, NULL, NULL, NULL },
		{ { "--apparmor", NULL }, &options->apparmor, NULL, NULL, NULL }, { { "--process-label", NULL }, &options->process_label, NULL, NULL, NULL },
		{ { "--env", "-e" }, NULL, NULL, &options->env, NULL }, { { "--cap", "-c" }, NULL, NULL, &options->caps, NULL },
		{ { "--additional-gids", "-g" }, NULL, NULL, &options->gids, NULL }, { { "--preserve-fds", NULL }, NULL, NULL, NULL, &options->preserve_fds },
		{ { "--detach", "-d" }, NULL, &options->detach, NULL, NULL }, { { "--force", "-f" }, NULL, &options->force, NULL, NULL },
		{ { "--all", "-a" }, NULL, &options->all, NULL, NULL }, { { "--tty", "-t" }, NULL, &options->tty, NULL, NULL },
		{ { "--no-new-privs", NULL }, NULL, &options->no_new_privs, NULL, NULL }, { { "--ignore-paused", NULL }, NULL, &options->ignore_paused, NULL, NULL },
	};

	for (size_t at = 0; at < sizeof(flags) / sizeof(*flags); at++) {
		const struct flag *flag = &flags[at];

		if (!is(argv[*index], flag->names[0]) && !(flag->names[1] && strcmp(argv[*index], flag->names[1]) == 0))
			continue;
		/* -f is --format of commands that list and --force of delete. */
		if (flag->text == &options->format && argv[*index][1] == 'f' && options->force == -1)
			continue;
		if (flag->on) {
			*flag->on = !strchr(argv[*index], '=') || strstr(argv[*index], "=true");
			return 0;
		}
		const char *value = value_of(argv, index, flag->names[0], err);
		if (!value)
			return -1;
		if (flag->text)
			*flag->text = value;
		else if (flag->list)
			return plan_append(flag->list, value, err);
		else if (parse_decimal(value, 1024, flag->number) < 0)
			return fail_usage(err, "%s needs a number up to 1024", flag->names[0]);
		return 0;
	}
	if (is(argv[*index], "--no-pivot") || is(argv[*index], "--cgroup") || is(argv[*index], "--rootless"))
		return fail_usage(err, "%s is not supported by this runtime", argv[*index]);
	/* Keyrings: the shim makes none, so there is none not to make. */
	if (is(argv[*index], "--no-new-keyring"))
		return 0;
	return fail_usage(err, "flag provided but not defined: %s", argv[*index]);
}

/* Limits of `update` are kept as they are, two by two. */
static int update_option(struct options *options, char **argv, int *index, int *count, struct err *err)
{
	if (is(argv[*index], "--resources") || strcmp(argv[*index], "-r") == 0)
		return command_option(options, argv, index, err);
	char *equals = strchr(argv[*index], '=');
	char *name = argv[*index];
	const char *value = value_of(argv, index, name, err);
	if (!value)
		return -1;
	if (equals)
		*equals = '\0';
	options->limits[(*count)++] = name;
	options->limits[(*count)++] = (char *)(uintptr_t)value;
	return 0;
}

static int parse(const struct command *command, int argc, char **argv, struct options *options, struct err *err)
{
	int limits = 0, is_update = command->run == oci_command_update, only_arguments = 0;

	options->limits = calloc((size_t)argc + 2, sizeof(*options->limits));
	options->rest = calloc((size_t)argc + 1, sizeof(*options->rest));
	options->force = command->run == oci_command_delete ? -1 : 0;
	if (!options->limits || !options->rest)
		return err_set(err, ENOMEM, "arguments", "out of memory");
	for (int index = 0; index < argc; index++) {
		if (!only_arguments && argv[index][0] == '-' && argv[index][1]) {
			if (strcmp(argv[index], "--") == 0)
				only_arguments = 1;
			else if ((is_update ? update_option(options, argv, &index, &limits, err) : command_option(options, argv, &index, err)) < 0)
				return -1;
		} else if (!options->id) {
			options->id = argv[index];
			only_arguments = command->takes_rest;
		} else {
			options->rest[options->rest_count++] = argv[index];
		}
	}
	if (options->force < 0)
		options->force = 0;
	return 0;
}

static const char *absolute(const char *path)
{
	CLEANUP_FREE char *here = getcwd(NULL, 0);
	char *whole = NULL;

	if (!path || path[0] == '/' || !here || asprintf(&whole, "%s/%s", here, path) < 0)
		return path;
	return whole;
}

static int run(int argc, char **argv, struct err *err)
{
	static struct options options;
	int index = 1;

	for (; index < argc && argv[index][0] == '-'; index++) {
		if (strcmp(argv[index], "--version") == 0 || strcmp(argv[index], "-v") == 0) {
			printf("atoll-oci version 0.1.0\nspec: 1.2.0\n");
			return 0;
		}
		if (global_option(argv, &index, err) < 0)
			return 1;
	}
	if (strcmp(globals.log_format, "text") != 0 && strcmp(globals.log_format, "json") != 0)
		return fail_usage(err, "invalid log-format: %s", globals.log_format), 1;
	/* The folder changes later. */
	globals.root = absolute(globals.root);
	globals.log = absolute(globals.log);
	for (size_t at = 0; index < argc && at < sizeof(commands) / sizeof(*commands); at++) {
		if (strcmp(commands[at].name, argv[index]) != 0)
			continue;
		if (commands[at].enters_containers && self_seal(argv, err) < 0)
			return 1;
		if (parse(&commands[at], argc - index - 1, argv + index + 1, &options, err) < 0)
			return 1;
		return commands[at].run(&options, err);
	}
	return fail_usage(err, index < argc ? "no such command: %s" : "a command is needed%s", index < argc ? argv[index] : ""), 1;
}

int main(int argc, char **argv)
{
	struct err err = { 0 };
	int code = run(argc, argv, &err);

	if (code != 0 && err.text[0])
		log_message("error", err.text);
	return code;
}
