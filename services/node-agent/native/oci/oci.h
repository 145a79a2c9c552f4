#ifndef ATOLL_OCI_H
#define ATOLL_OCI_H

#include <stdio.h>
#include <sys/types.h>

#include "err.h"
#include "json.h"
#include "plan.h"
#include "shim.h"

/* The command line of OCI runtimes on top of the shim's executor. What a command leaves running has no supervisor: its caller is the parent. */

enum hook_kind { HOOK_PRESTART, HOOK_CREATE_RUNTIME, HOOK_CREATE_CONTAINER, HOOK_START_CONTAINER, HOOK_POSTSTART, HOOK_POSTSTOP, HOOK_KINDS };
enum container_status { CONTAINER_CREATING, CONTAINER_CREATED, CONTAINER_RUNNING, CONTAINER_PAUSED, CONTAINER_STOPPED };

extern const char *const HOOK_NAMES[HOOK_KINDS];
extern const char *const STATUS_WORDS[];

/* Options before the command. */
struct globals { const char *root, *log, *log_format; int debug; };
extern struct globals globals;

/* A config.json that has been understood whole. Texts point into the document. */
struct spec {
	struct json_document document;
	struct plan plan;
	const struct json *hooks, *annotations;
	const char *version;
	char *root, *scratch; /* absolute paths made of the bundle's */
};

/* A container's folder below the root: what a later command has to know. */
struct container {
	const char *id;
	char folder[4096];
	char bundle[4096], cgroup[4096], created[64];
	struct identity init; /* pid 0 while it is being created */
};

/* Options of a command, in any order, and what is left of its arguments. */
struct options {
	const char *bundle, *console_socket, *pid_file, *process, *cwd, *user, *resources, *format, *apparmor, *process_label;
	const char *id;
	char **rest;
	int rest_count;
	struct text_list env, caps, gids;
	uint64_t preserve_fds;
	int detach, force, all, tty, no_new_privs, ignore_paused;
	char **limits; /* name, value … of update, NULL terminated */
};

int fail_usage(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_message(const char *level, const char *text);

/* Everything a config asks for is in the plan, or refused by name. `spec` must be zero but for the plan's id. Freed also when it failed. */
int spec_parse(const char *bundle, const char *bytes, size_t length, struct spec *spec, struct err *err);
void spec_free(struct spec *spec);
/* Gives a text that is not part of the document to the spec being read; NULL stays NULL. */
char *spec_keep(char *text);
/* Reads <bundle>/config.json, or a copy of it. */
int spec_read(const char *bundle, const char *file, struct spec *spec, struct err *err);
int spec_process(const struct json *process, const char *where, struct process_plan *plan, struct err *err);
/* -1: this kernel knows no profiles, and one is asked for. NULL and "" ask for nothing. */
int spec_apparmor(const char *profile, struct process_plan *plan);
/* The same of an SELinux label, also when it is malformed. */
int spec_selinux(const char *label, const char **slot);
int spec_mounts(const struct json *mounts, const char *bundle, struct plan *plan, struct err *err);
int spec_linux(const struct json *linux_object, struct plan *plan, struct err *err);
int spec_resources(const struct json *resources, struct plan *plan, struct err *err);
/* Classic BPF, owned by the process plan. */
int spec_seccomp(const struct json *seccomp, struct process_plan *plan, struct err *err);

/* "config.json: <where>.<key> <why>" */
int spec_bad(struct err *err, const char *where, const char *key, const char *why);
/*
 * Looks at all members: those in `known` are left to the caller, those in `refused` are an error unless they are empty (null, false, 0,
 * "", [] or {}), others are told of in the log, as the specification wants. Both lists end with NULL.
 */
int spec_members(const struct json *object, const char *where, const char *const *known, const char *const *refused, struct err *err);
int spec_text(const struct json *object, const char *where, const char *key, const char **out, struct err *err);
int spec_int(const struct json *object, const char *where, const char *key, int64_t low, int64_t high, int64_t *out, struct err *err);
int spec_bool(const struct json *object, const char *where, const char *key, int *out, struct err *err);

int container_make(struct container *container, const char *id, struct err *err);
int container_open(struct container *container, const char *id, struct err *err);
int container_save(const struct container *container, const char *config, size_t length, struct err *err);
int container_save_init(struct container *container, pid_t pid, struct err *err);
enum container_status container_status(const struct container *container);
void container_remove(const struct container *container);
/* The JSON of `state`, also for hooks. */
void container_write_state(const struct container *container, const struct spec *spec, const char *status, pid_t pid, FILE *out);

int hooks_check(const struct json *hooks, struct err *err);
int hooks_run(const struct spec *spec, const struct container *container, enum hook_kind kind, const char *status, pid_t pid, struct err *err);

void put_json_text(FILE *out, const char *text);

int oci_command_create(struct options *options, struct err *err);
int oci_command_run(struct options *options, struct err *err);
int oci_command_start(struct options *options, struct err *err);
int oci_command_state(struct options *options, struct err *err);
int oci_command_kill(struct options *options, struct err *err);
int oci_command_delete(struct options *options, struct err *err);
int oci_command_exec(struct options *options, struct err *err);
int oci_command_ps(struct options *options, struct err *err);
int oci_command_pause(struct options *options, struct err *err);
int oci_command_resume(struct options *options, struct err *err);
int oci_command_update(struct options *options, struct err *err);
int oci_command_spec(struct options *options, struct err *err);
int oci_command_features(struct options *options, struct err *err);
int oci_command_list(struct options *options, struct err *err);

/* Shared by create, run and exec. */
int write_pid_file(const char *path, pid_t pid, struct err *err);
int own_streams(struct stdio *stdio, int tty, struct err *err);
int send_console(const char *socket, int master, struct err *err);
int wait_code(pid_t pid);
int delete_container(struct container *container, const struct spec *spec, struct err *err);

#endif
