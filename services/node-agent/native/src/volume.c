#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "commands.h"
#include "extract.h"
#include "io.h"
#include "pack.h"
#include "volume-kept.h"

/* The archive's own members beside the tree `data`; docs/volumes.md describes the format. */
#define MANIFEST "atoll-volume.json"
#define DIGEST "atoll-digest"
#define TREE "data"

enum { MANIFEST_BYTES = 64 * 1024, DIGEST_BYTES = 7 + 64 + 1 };

static const char STEP[] = "arguments";

static int finish(int result, const struct err *err)
{
	if (result < 0)
		err_report(err, 2);
	return result < 0 ? 1 : 0;
}

/* Files of a tmpfs have no new time when they are written through a mapping. */
static int times_tell(int folder)
{
	struct statfs info;

	return fstatfs(folder, &info) == 0 && info.f_type != TMPFS_MAGIC;
}

/* The first members of the archive come from the caller; all digests are of them too. */
static int copy_head(struct tar_writer *writer, struct err *err)
{
	static uint8_t bytes[MANIFEST_BYTES];
	ssize_t count;

	while ((count = read(0, bytes, sizeof(bytes))) != 0) {
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return err_sys(err, "read archive", "standard input");
		if (tar_write_bytes(writer, bytes, (size_t)count, err) < 0)
			return -1;
	}
	return 0;
}

static int pack_volume(int argc, char **argv, struct err *err)
{
	struct pack_options options = { .prefix = TREE, .volume = 1 };
	struct volume_notes notes = { 0 };
	const char *folder = NULL, *known = NULL;
	struct tar_writer writer;

	for (int index = 0; index < argc; index++) {
		if (strcmp(argv[index], "--unless-noted") == 0 && index + 1 < argc)
			known = argv[++index];
		else if (strcmp(argv[index], "--by-reference") == 0)
			options.by_reference = 1;
		else if (argv[index][0] != '-' && !folder)
			folder = argv[index];
		else
			return err_set(err, EINVAL, STEP, "usage: atoll-shim volume-pack <folder> [--unless-noted file] [--by-reference]");
	}
	CLEANUP_CLOSE int root = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (root < 0)
		return folder ? err_sys(err, "enter root", "%s", folder) : err_set(err, EINVAL, STEP, "volume-pack needs a folder");
	if (known && times_tell(root)) {
		if (volume_notes_open(&notes, err) < 0 || volume_notes_read(&notes, known, err) < 0)
			return -1;
		options.notes = &notes;
	}
	/* What was written through a mapping and is still dirty would not get a new time when it is written again. */
	if (known && syncfs(root) < 0)
		return err_sys(err, "sync volume", "%s", folder);
	if (tar_writer_open(&writer, 1, err) < 0)
		return -1;
	writer.hashing = options.notes != NULL;
	if (copy_head(&writer, err) < 0 || pack(&writer, root, ".", &options, err) < 0)
		return -1;
	return tar_write_flush(&writer, err);
}

int command_volume_pack(int argc, char **argv)
{
	struct err err = { 0 };

	return finish(pack_volume(argc, argv, &err), &err);
}

struct unpacking {
	char manifest[MANIFEST_BYTES + 1];
	char digest[65];
	uint64_t bytes;
	int begun, has_tree, over;
	struct volume_kept *kept; /* NULL, or takes what is received */
};

static int read_text(struct tar_reader *reader, const struct tar_entry *entry, char *out, size_t room, struct err *err)
{
	const uint8_t *bytes;
	size_t used = 0;
	long count;

	if (entry->type != '0' || entry->sparse || entry->base[0] || entry->size >= room)
		return err_set(err, EBADMSG, "read archive", "malformed archive: %s", entry->path);
	while ((count = tar_data(reader, &bytes, room, err)) > 0) {
		memcpy(out + used, bytes, (size_t)count);
		used += (size_t)count;
	}
	out[used] = '\0';
	return count < 0 ? -1 : strlen(out) != used ? err_set(err, EBADMSG, "read archive", "malformed archive: %s", entry->path) : 0;
}

static int check_digest(struct tar_reader *reader, const struct tar_entry *entry, struct unpacking *unpacking, struct err *err)
{
	char text[DIGEST_BYTES + 1];
	/* Of all before this member. */
	struct sha256 hash = reader->before;

	unpacking->bytes = hash.total;
	sha256_finish(&hash, unpacking->digest);
	if (read_text(reader, entry, text, sizeof(text), err) < 0)
		return -1;
	if (strncmp(text, "sha256:", 7) != 0 || strncmp(text + 7, unpacking->digest, 64) != 0 || strcmp(text + 71, "\n") != 0)
		return err_set(err, EBADMSG, "check digest", "the archive was damaged or changed: its digest is sha256:%s, not %.71s",
			       unpacking->digest, text);
	return unpacking->kept && volume_kept_verified(unpacking->kept, err) < 0 ? -1 : 1;
}

static int received(const struct tar_entry *entry, int parent, const char *name, void *context, struct err *err)
{
	struct unpacking *unpacking = context;

	return volume_kept_add(unpacking->kept, entry, parent, name, err);
}

static int filter(struct tar_reader *reader, const struct tar_entry *entry, void *context, struct err *err)
{
	struct unpacking *unpacking = context;
	char name[PATH_MAX];

	if (unpacking->over)
		return err_set(err, EBADMSG, "check digest", "the archive has %s behind its digest", entry->path);
	if (strcmp(entry->path, MANIFEST) == 0 && !unpacking->begun) {
		unpacking->begun = 1;
		return read_text(reader, entry, unpacking->manifest, sizeof(unpacking->manifest), err) < 0 ? -1 : 1;
	}
	if (!unpacking->begun)
		return err_set(err, EBADMSG, "read archive", "this is no backup of a volume: it does not begin with " MANIFEST);
	unpacking->over = strcmp(entry->path, DIGEST) == 0;
	if (unpacking->over || (unpacking->kept && strcmp(entry->path, VOLUME_CHECKPOINT) == 0))
		return check_digest(reader, entry, unpacking, err);
	if (clean_name(entry->path, name) < 0 || (strcmp(name, TREE) != 0 && strncmp(name, TREE "/", sizeof(TREE)) != 0))
		return err_set(err, EPERM, "unpack", "%s: the name leads out of the volume", entry->path);
	if (strcmp(name, TREE) == 0 && entry->type != '5')
		return err_set(err, EPERM, "unpack", "%s: a volume's root is a folder", entry->path);
	if (strcmp(name, TREE) != 0 && !unpacking->has_tree)
		return err_set(err, EBADMSG, "read archive", "malformed archive: %s comes before the volume's root", entry->path);
	unpacking->has_tree = 1;
	return 0;
}

static int answer(const struct unpacking *unpacking, const struct extract_totals *totals, struct err *err)
{
	static char line[2 * MANIFEST_BYTES + 512];
	unsigned long at = (unsigned long)snprintf(line, sizeof(line), "{\"sha256\":\"%s\",\"archiveBytes\":%llu,\"entries\":%llu,\"manifest\":\"",
						   unpacking->digest, (unsigned long long)unpacking->bytes, (unsigned long long)totals->entries);

	at = json_escape(line, at, sizeof(line) - 8, unpacking->manifest);
	at += (unsigned long)snprintf(line + at, sizeof(line) - at, "\"}\n");
	return write_all(1, line, at) < 0 ? err_sys(err, "write answer", "standard output") : 0;
}

static int unpack_volume(int argc, char **argv, struct err *err)
{
	static struct unpacking unpacking;
	struct extract_options options = { .base = "", .earlier = -1, .volume = 1, .max_bytes = UINT64_MAX, .max_entries = UINT64_MAX,
					   .filter = filter, .context = &unpacking };
	const char *folder = NULL, *base = NULL, *kept_path = NULL;
	struct volume_kept kept = { .folder = -1 };
	struct extract_totals totals;
	struct tar_reader reader;

	for (int index = 0; index < argc; index++) {
		int is_bytes = strcmp(argv[index], "--max-bytes") == 0;

		if (strcmp(argv[index], "--copy") == 0)
			options.copy_earlier = 1;
		else if (strcmp(argv[index], "--base") == 0 && index + 1 < argc)
			base = argv[++index];
		else if (strcmp(argv[index], "--keep") == 0 && index + 1 < argc)
			base = kept_path = argv[++index];
		else if ((is_bytes || strcmp(argv[index], "--max-entries") == 0) && index + 1 < argc &&
			 parse_decimal(argv[index + 1], UINT64_MAX / 2, is_bytes ? &options.max_bytes : &options.max_entries) == 0)
			index++;
		else if (argv[index][0] != '-' && !folder)
			folder = argv[index];
		else
			return err_set(err, EINVAL, STEP, "usage: atoll-shim volume-unpack <folder> [--base folder [--copy] | --keep folder] [--max-bytes n] [--max-entries n]");
	}
	CLEANUP_CLOSE int root = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	CLEANUP_CLOSE int earlier = base ? open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (root < 0 || (base && earlier < 0))
		return folder ? err_sys(err, "enter root", "%s", root < 0 ? folder : base) : err_set(err, EINVAL, STEP, "volume-unpack needs a folder");
	options.root = root;
	options.earlier = earlier;
	if (kept_path) {
		if (volume_kept_open(&kept, kept_path, err) < 0)
			return -1;
		unpacking.kept = &kept;
		options.received = received;
	}
	if (tar_open(&reader, 0, 1, err) < 0)
		return -1;
	reader.volume = 1;
	int result = extract(&reader, &options, &totals, err);
	if (result == 0)
		result = tar_drain(&reader, err);
	tar_close(&reader);
	volume_kept_close(&kept);
	if (result < 0)
		return -1;
	if (!unpacking.over || !unpacking.has_tree)
		return err_set(err, EBADMSG, "check digest", "the archive ends before its digest: it is cut off");
	if (syncfs(root) < 0)
		return err_sys(err, "sync volume", "%s", folder);
	return answer(&unpacking, &totals, err);
}

int command_volume_unpack(int argc, char **argv)
{
	struct err err = { 0 };

	return finish(unpack_volume(argc, argv, &err), &err);
}
