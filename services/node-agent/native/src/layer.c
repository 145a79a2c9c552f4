#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "extract.h"
#include "io.h"
#include "pack.h"

static int apply(int argc, char **argv, struct err *err)
{
	struct extract_options options = { .base = "", .whiteouts = 1, .max_bytes = UINT64_MAX, .max_entries = UINT64_MAX };
	struct extract_totals totals;
	struct tar_reader reader;
	const char *folder = NULL;
	int sync = 1;
	char hex[65], line[256];

	for (int index = 0; index < argc; index++) {
		int is_bytes = strcmp(argv[index], "--max-bytes") == 0;

		if (strcmp(argv[index], "--no-sync") == 0) {
			sync = 0;
		} else if ((is_bytes || strcmp(argv[index], "--max-entries") == 0) && index + 1 < argc) {
			if (parse_decimal(argv[++index], UINT64_MAX / 2, is_bytes ? &options.max_bytes : &options.max_entries) < 0)
				return err_set(err, EINVAL, "arguments", "%s is not a number", argv[index]);
		} else if (argv[index][0] != '-' && !folder) {
			folder = argv[index];
		} else {
			folder = NULL;
			break;
		}
	}
	if (!folder)
		return err_set(err, EINVAL, "arguments", "usage: atoll-shim layer-apply <folder> [--max-bytes n] [--max-entries n] [--no-sync]");
	CLEANUP_CLOSE int root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(err, "enter root", "%s", folder);
	options.root = root;
	umask(0);
	if (tar_open(&reader, 0, 1, err) < 0)
		return -1;
	int result = extract(&reader, &options, &totals, err);
	/* The diff id covers the whole stream, also what follows the end mark. */
	if (result == 0)
		result = tar_drain(&reader, err);
	sha256_finish(&reader.hash, hex);
	tar_close(&reader);
	if (result < 0)
		return -1;
	if (sync && syncfs(root) < 0)
		return err_sys(err, "sync layer", "%s", folder);
	int length = snprintf(line, sizeof(line), "{\"diffId\":\"sha256:%s\",\"bytes\":%llu,\"entries\":%llu}\n", hex,
			      (unsigned long long)totals.bytes, (unsigned long long)totals.entries);
	return write_all(1, line, (size_t)length) < 0 ? err_sys(err, "write answer", "standard output") : 0;
}

int command_layer_apply(int argc, char **argv)
{
	struct err err = { 0 };

	if (apply(argc, argv, &err) == 0)
		return 0;
	err_report(&err, 2);
	return 1;
}

static int diff(int argc, char **argv, struct err *err)
{
	struct tar_writer writer;

	if (argc != 1)
		return err_set(err, EINVAL, "arguments", "usage: atoll-shim layer-diff <upper folder>");
	CLEANUP_CLOSE int upper = open(argv[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (upper < 0)
		return err_sys(err, "enter root", "%s", argv[0]);
	if (tar_writer_open(&writer, 1, err) < 0 || pack(&writer, upper, ".", &(struct pack_options){ .prefix = "", .overlay = 1 }, err) < 0)
		return -1;
	return tar_write_end(&writer, err);
}

int command_layer_diff(int argc, char **argv)
{
	struct err err = { 0 };

	if (diff(argc, argv, &err) == 0)
		return 0;
	err_report(&err, 2);
	return 1;
}
