#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bundle.h"
#include "extract.h"
#include "io.h"
#include "oci.h"

static const char STEP[] = "state";

const char *const STATUS_WORDS[] = { "creating", "created", "running", "paused", "stopped" };

static int check_id(const char *id, struct err *err)
{
	size_t length = id ? strlen(id) : 0;
	int plain = length > 0 && length <= 1024 && strcmp(id, ".") != 0 && strcmp(id, "..") != 0;

	for (size_t index = 0; index < length; index++)
		plain = plain && (isalnum((unsigned char)id[index]) || strchr("_+-.", id[index]));
	return plain ? 0 : err_set(err, EINVAL, STEP, "invalid container ID format");
}

static int locate(struct container *container, const char *id, struct err *err)
{
	if (check_id(id, err) < 0)
		return -1;
	container->id = id;
	if ((size_t)snprintf(container->folder, sizeof(container->folder), "%s/%s", globals.root, id) >= sizeof(container->folder))
		return err_set(err, ENAMETOOLONG, STEP, "the root and the id are too long");
	return 0;
}

static int make_root(struct err *err)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s", globals.root);
	for (char *at = path + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		if (mkdir(path, 0711) < 0 && errno != EEXIST)
			return err_sys(err, STEP, "make %s", path);
		*at = '/';
	}
	return mkdir(path, 0700) < 0 && errno != EEXIST ? err_sys(err, STEP, "make %s", path) : 0;
}

int container_make(struct container *container, const char *id, struct err *err)
{
	time_t now = time(NULL);
	struct tm parts;
	char path[4200];

	if (locate(container, id, err) < 0 || make_root(err) < 0)
		return -1;
	if (mkdir(container->folder, 0700) < 0)
		return errno == EEXIST ? err_set(err, EEXIST, STEP, "container with given ID already exists") : err_sys(err, STEP, "%s", container->folder);
	snprintf(path, sizeof(path), "%s/scratch", container->folder);
	if (mkdir(path, 0700) < 0)
		return err_sys(err, STEP, "%s", path);
	gmtime_r(&now, &parts);
	strftime(container->created, sizeof(container->created), "%Y-%m-%dT%H:%M:%SZ", &parts);
	return 0;
}

int container_save(const struct container *container, const char *config, size_t length, struct err *err)
{
	char text[9000];
	int size = snprintf(text, sizeof(text), "%s\n%s\n%s\n", container->bundle, container->cgroup, container->created);
	CLEANUP_CLOSE int folder = open(container->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP_CLOSE int file = folder < 0 ? -1 : openat(folder, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	CLEANUP_CLOSE int facts = file < 0 ? -1 : write_file_atomic(folder, "container", text, (size_t)size);

	return facts < 0 || write_all(file, config, length) < 0 ? err_sys(err, STEP, "write to %s", container->folder) : 0;
}

int container_save_init(struct container *container, pid_t pid, struct err *err)
{
	CLEANUP_CLOSE int folder = open(container->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	container->init.pid = pid;
	container->init.ticks = process_start_ticks(pid);
	return folder < 0 ? err_sys(err, STEP, "%s", container->folder) : bundle_write_pid(folder, "init.pid", pid, err);
}

int container_open(struct container *container, const char *id, struct err *err)
{
	char *save = NULL;
	unsigned long long ticks;

	memset(container, 0, sizeof(*container));
	if (locate(container, id, err) < 0)
		return -1;
	CLEANUP_CLOSE int folder = open(container->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return err_set(err, ENOENT, STEP, "container does not exist");
	CLEANUP_FREE char *facts = read_file_at(folder, "container", 16384, NULL);
	CLEANUP_FREE char *init = read_file_at(folder, "init.pid", 64, NULL);
	if (facts) {
		char *bundle = strtok_r(facts, "\n", &save), *cgroup = strtok_r(NULL, "\n", &save), *created = strtok_r(NULL, "\n", &save);

		snprintf(container->bundle, sizeof(container->bundle), "%s", bundle ? bundle : "");
		snprintf(container->cgroup, sizeof(container->cgroup), "%s", cgroup ? cgroup : "");
		snprintf(container->created, sizeof(container->created), "%s", created ? created : "");
	}
	if (init && sscanf(init, "%d %llu", &container->init.pid, &ticks) == 2)
		container->init.ticks = ticks;
	return 0;
}

/* A zombie has ended: its parent has only not asked how. */
static int is_alive(const struct identity *process)
{
	char path[64];

	if (process->pid <= 0 || process_start_ticks(process->pid) != process->ticks)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", process->pid);
	CLEANUP_FREE char *text = read_file_at(AT_FDCWD, path, 4096, NULL);
	char *name_end = text ? strrchr(text, ')') : NULL;
	return name_end && name_end[1] == ' ' && name_end[2] != 'Z' && name_end[2] != 'X';
}

static int is_paused(const struct container *container)
{
	static struct cgroup cgroup;
	struct err ignored;
	int paused = 0;

	if (!container->cgroup[0] || cgroup_open(&cgroup, container->cgroup, &ignored) < 0)
		return 0;
	struct hierarchy *freezer = cgroup_controller(&cgroup, "freezer");
	for (int index = 0; !freezer && index < cgroup.count; index++)
		if (cgroup.hierarchies[index].is_v2)
			freezer = &cgroup.hierarchies[index];
	if (freezer && freezer->group >= 0) {
		CLEANUP_FREE char *text = read_file_at(freezer->group, freezer->is_v2 ? "cgroup.freeze" : "freezer.state", 64, NULL);

		paused = text && (freezer->is_v2 ? text[0] == '1' : strncmp(text, "FRO", 3) == 0 || strncmp(text, "FREEZ", 5) == 0);
	}
	cgroup_close(&cgroup);
	return paused;
}

enum container_status container_status(const struct container *container)
{
	char path[4200];

	if (container->init.pid == 0)
		return CONTAINER_CREATING;
	if (!is_alive(&container->init))
		return CONTAINER_STOPPED;
	if (is_paused(container))
		return CONTAINER_PAUSED;
	snprintf(path, sizeof(path), "%s/start.sock", container->folder);
	return access(path, F_OK) == 0 ? CONTAINER_CREATED : CONTAINER_RUNNING;
}

void container_remove(const struct container *container)
{
	CLEANUP_CLOSE int root = open(globals.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (root >= 0)
		remove_tree(root, container->id);
}

void put_json_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			fprintf(out, "\\u%04x", (unsigned char)*text);
		else
			fputc(*text, out);
	}
	fputc('"', out);
}

void container_write_state(const struct container *container, const struct spec *spec, const char *status, pid_t pid, FILE *out)
{
	fprintf(out, "{\n  \"ociVersion\": ");
	put_json_text(out, spec && spec->version ? spec->version : "1.0.2");
	fprintf(out, ",\n  \"id\": ");
	put_json_text(out, container->id);
	fprintf(out, ",\n  \"pid\": %d,\n  \"status\": \"%s\",\n  \"bundle\": ", (int)pid, status);
	put_json_text(out, container->bundle);
	fprintf(out, ",\n  \"rootfs\": ");
	put_json_text(out, spec && spec->root ? spec->root : "");
	fprintf(out, ",\n  \"created\": ");
	put_json_text(out, container->created);
	if (spec && spec->annotations && spec->annotations->first) {
		fprintf(out, ",\n  \"annotations\": {");
		for (const struct json *item = spec->annotations->first; item; item = item->next) {
			fprintf(out, "%s\n    ", item == spec->annotations->first ? "" : ",");
			put_json_text(out, item->key);
			fprintf(out, ": ");
			put_json_text(out, json_text(item) ? item->text : "");
		}
		fprintf(out, "\n  }");
	}
	fprintf(out, ",\n  \"owner\": \"\"\n}\n");
}
