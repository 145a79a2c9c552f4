#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "extract.h"
#include "io.h"
#include "pack.h"
#include "path.h"
#include "root-spec.h"

/* Docker's rule: links on the way are followed, the last component's only when the path ends in "/" or "/.". */
static int open_source(struct root_spec *spec, const char *path, char *name, int *parent, struct err *err)
{
	*parent = root_parent(spec->root, path, 0, name);
	size_t length = strlen(path);

	if (*parent >= 0 && length > 1 && path[length - 1] == '/' && strcmp(name, ".") != 0) {
		int folder = root_open(spec->root, path, O_PATH | O_DIRECTORY, 0, 0);

		close(*parent);
		*parent = folder;
		strcpy(name, ".");
	}
	return *parent < 0 ? err_sys(err, "find path", "%s", path) : 0;
}

/* The name its members get: filepath.Base of the path as it was given. */
static void base_name(const char *path, char *out)
{
	size_t end = strlen(path);

	while (end > 1 && path[end - 1] == '/')
		end--;
	size_t start = end;
	while (start > 0 && path[start - 1] != '/')
		start--;
	snprintf(out, NAME_MAX + 1, "%.*s", (int)(end - start > 0 ? end - start : 1), end - start > 0 ? path + start : "/");
}

static int usage(struct err *err, const char *text)
{
	return err_set(err, EINVAL, "arguments", "usage: atoll-shim %s", text);
}

static int finish(int result, struct root_spec *spec, const struct err *err)
{
	if (spec->lock > 0)
		root_spec_close(spec);
	if (result < 0)
		err_report(err, 2);
	return result < 0 ? 1 : 0;
}

static int parse_path(struct root_spec *spec, int argc, char **argv, const char **path, struct err *err)
{
	for (int index = 0; index < argc; index++) {
		int taken = root_spec_option(spec, argc, argv, &index, err);

		if (taken < 0)
			return -1;
		if (taken == 0 && argv[index][0] == '-')
			return usage(err, "archive-… <root> <path>");
		if (taken == 0)
			*path = argv[index];
	}
	return *path ? root_spec_open(spec, err) : usage(err, "archive-… <root> <path>");
}

static int get(struct root_spec *spec, int argc, char **argv, struct err *err)
{
	struct tar_writer writer;
	const char *path = "";
	char name[NAME_MAX + 1], base[NAME_MAX + 1];
	int parent;
	struct stat info;

	if (parse_path(spec, argc, argv, &path, err) < 0 || open_source(spec, path, name, &parent, err) < 0)
		return -1;
	if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "find path", "%s", path);
	base_name(path, base);
	if (tar_writer_open(&writer, 1, err) < 0 || pack(&writer, parent, name, &(struct pack_options){ .prefix = base }, err) < 0)
		return -1;
	return tar_write_end(&writer, err);
}

int command_archive_get(int argc, char **argv)
{
	struct root_spec spec = { .lock = -1 };
	struct err err = { 0 };

	return finish(get(&spec, argc, argv, &err), &spec, &err);
}

static int print_stat(struct root_spec *spec, int argc, char **argv, struct err *err)
{
	const char *path = "";
	char name[NAME_MAX + 1], base[NAME_MAX + 1], target[PATH_MAX] = "", line[3 * PATH_MAX];
	struct stat info;
	int parent;

	if (parse_path(spec, argc, argv, &path, err) < 0 || open_source(spec, path, name, &parent, err) < 0)
		return -1;
	if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "find path", "%s", path);
	if (S_ISLNK(info.st_mode)) {
		CLEANUP_CLOSE int end = root_open(spec->root, path, O_PATH, 0, 0);

		/* A dangling link keeps its own text, as far as one can say where it leads. */
		if (end >= 0 ? root_spec_path(spec, end, target, err) < 0 : readlinkat(parent, name, target, sizeof(target) - 1) < 0)
			return end >= 0 ? -1 : err_sys(err, "find path", "%s", path);
	}
	base_name(path, base);
	unsigned long at = (unsigned long)snprintf(line, sizeof(line), "{\"name\":\"");
	at = json_escape(line, at, sizeof(line), base);
	at += (unsigned long)snprintf(line + at, sizeof(line) - at,
				      "\",\"size\":%lld,\"mode\":%u,\"mtimeSeconds\":%lld,\"mtimeNanoseconds\":%ld,\"linkTarget\":\"",
				      (long long)info.st_size, info.st_mode, (long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
	at = json_escape(line, at, sizeof(line) - 8, target);
	at += (unsigned long)snprintf(line + at, sizeof(line) - at, "\"}\n");
	return write_all(1, line, at) < 0 ? err_sys(err, "write answer", "standard output") : 0;
}

int command_archive_stat(int argc, char **argv)
{
	struct root_spec spec = { .lock = -1 };
	struct err err = { 0 };

	return finish(print_stat(&spec, argc, argv, &err), &spec, &err);
}

struct put_options {
	struct root_spec spec;
	struct extract_options extract;
	const char *path;
	int make_folders;
};

static int parse_put(struct put_options *put, int argc, char **argv, struct err *err)
{
	static const char text[] = "archive-put <root> <folder> [--chown uid:gid] [--rename name] [--mkdirs] [--keep-kinds] [--max-bytes n] [--max-entries n]";

	put->extract.max_bytes = put->extract.max_entries = UINT64_MAX;
	for (int index = 0; index < argc; index++) {
		const char *option = argv[index];
		int taken = root_spec_option(&put->spec, argc, argv, &index, err);
		char end;

		if (taken < 0)
			return -1;
		if (taken)
			continue;
		if (option[0] != '-') {
			put->path = option;
		} else if (strcmp(option, "--mkdirs") == 0) {
			put->make_folders = 1;
		} else if (strcmp(option, "--keep-kinds") == 0) {
			put->extract.keep_kinds = 1;
		} else if (index + 1 >= argc) {
			return usage(err, text);
		} else if (strcmp(option, "--chown") == 0) {
			put->extract.chown = 1;
			if (sscanf(argv[++index], "%u:%u%c", &put->extract.uid, &put->extract.gid, &end) != 2)
				return usage(err, text);
		} else if (strcmp(option, "--rename") == 0) {
			put->extract.rename_top = argv[++index];
			if (check_component(put->extract.rename_top) < 0)
				return usage(err, text);
		} else if (strcmp(option, "--max-bytes") == 0 || strcmp(option, "--max-entries") == 0) {
			uint64_t *limit = option[6] == 'b' ? &put->extract.max_bytes : &put->extract.max_entries;

			if (parse_decimal(argv[++index], UINT64_MAX / 2, limit) < 0)
				return usage(err, text);
		} else {
			return usage(err, text);
		}
	}
	return put->path ? 0 : usage(err, text);
}

static int put_archive(struct put_options *put, int argc, char **argv, struct err *err)
{
	struct extract_totals totals;
	struct tar_reader reader;
	struct stat info;
	char base[PATH_MAX];

	if (parse_put(put, argc, argv, err) < 0 || root_spec_open(&put->spec, err) < 0)
		return -1;
	CLEANUP_CLOSE int folder = put->make_folders ? root_mkdirs(put->spec.root, put->path, 0755)
						     : root_open(put->spec.root, put->path, O_PATH, 0, 0);
	if (folder < 0 || fstat(folder, &info) < 0)
		return err_sys(err, "find path", "%s", put->path);
	if (!S_ISDIR(info.st_mode))
		return err_set(err, ENOTDIR, "find path", "extraction point is not a directory");
	if (root_spec_path(&put->spec, folder, base, err) < 0)
		return -1;
	put->extract.root = put->spec.root;
	put->extract.base = base;
	if (tar_open(&reader, 0, 0, err) < 0)
		return -1;
	int result = extract(&reader, &put->extract, &totals, err);
	if (result == 0)
		result = tar_drain(&reader, err);
	tar_close(&reader);
	return result;
}

int command_archive_put(int argc, char **argv)
{
	static struct put_options put = { .spec.lock = -1 };
	struct err err = { 0 };

	return finish(put_archive(&put, argc, argv, &err), &put.spec, &err);
}
