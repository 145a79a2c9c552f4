/* Archives: headers, extensions, names; and the records of a pax header by themselves. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "extract.h"
#include "fuzz.h"
#include "sparse.h"
#include "tar-header.h"
#include "volume-notes.h"
#include "tar-read.h"

static void tar_header(uint8_t *block, const char *name, char type, const char *link, unsigned size)
{
	unsigned sum = 0;

	memset(block, 0, TAR_BLOCK);
	snprintf((char *)block, 100, "%s", name);
	memcpy(block + 100, "0000644\0000000000\0000000000\000", 24);
	snprintf((char *)block + 124, 12, "%011o", size);
	memcpy(block + 136, "00000000000", 12);
	block[156] = (uint8_t)type;
	snprintf((char *)block + 157, 100, "%s", link);
	memcpy(block + 257, "ustar\00000", 8);
	memset(block + 148, ' ', 8);
	for (int index = 0; index < TAR_BLOCK; index++)
		sum += block[index];
	snprintf((char *)block + 148, 8, "%06o", sum);
}

/* "<length> <key>=<value>\n" with a length that is right, counted with its own digits. */
static size_t put_record(uint8_t *out, size_t at, const char *key, const char *value)
{
	int rest = (int)(strlen(key) + strlen(value) + 3), length = rest + 1;

	while (snprintf(NULL, 0, "%d", length) + rest != length)
		length++;
	return at + (size_t)snprintf((char *)out + at, INPUT_ROOM - at, "%d %s=%s\n", length, key, value);
}

/* A file with a hole, as GNU's pax format 1.0 has it. */
static size_t make_sparse(uint8_t *out, size_t at)
{
	static const char map[] = "2\n0\n4\n600\n4\n";
	size_t body = at + TAR_BLOCK, end = body;

	memset(out + body, 0, TAR_BLOCK);
	end = put_record(out, end, "GNU.sparse.major", "1");
	end = put_record(out, end, "GNU.sparse.minor", "0");
	end = put_record(out, end, "GNU.sparse.name", "hole");
	end = put_record(out, end, "GNU.sparse.realsize", "700");
	out[end] = 0;
	tar_header(out + at, "pax", 'x', "", end - body);
	at += 2 * TAR_BLOCK;
	tar_header(out + at, "GNUSparseFile.0/data", '0', "", TAR_BLOCK + 8);
	memset(out + at + TAR_BLOCK, 0, 2 * TAR_BLOCK);
	memcpy(out + at + TAR_BLOCK, map, sizeof(map) - 1);
	memcpy(out + at + 2 * TAR_BLOCK, "abcdefgh", 8);
	return at + 3 * TAR_BLOCK;
}

static size_t make_tar(uint8_t *out)
{
	static const char record[] = "30 mtime=1350244992.023960108\n18 path=longer/na\n27 SCHILY.xattr.user.a=bcd\n10 size=3\n";
	size_t at = 0;

	tar_header(out + at, "pax", 'x', "", sizeof(record) - 1);
	memset(out + at + TAR_BLOCK, 0, TAR_BLOCK);
	memcpy(out + at + TAR_BLOCK, record, sizeof(record) - 1);
	at += 2 * TAR_BLOCK;
	tar_header(out + at, "f", '0', "", 3);
	memcpy(out + at + TAR_BLOCK, "abc", 3);
	at += 2 * TAR_BLOCK;
	at = make_sparse(out, at);
	tar_header(out + at, "long", 'L', "", 20);
	memset(out + at + TAR_BLOCK, 'n', 20);
	at += 2 * TAR_BLOCK;
	tar_header(out + at, "d/", '5', "", 0);
	at += TAR_BLOCK;
	tar_header(out + at, "l", '2', "../../x", 0);
	at += TAR_BLOCK;
	tar_header(out + at, ".wh.a", '0', "", 0);
	at += TAR_BLOCK;
	memset(out + at, 0, 2 * TAR_BLOCK);
	return at + 2 * TAR_BLOCK;
}

static void repair_checksums(uint8_t *bytes, size_t length)
{
	for (size_t at = 0; at + TAR_BLOCK <= length; at += TAR_BLOCK) {
		unsigned sum = 0;

		if (memcmp(bytes + at + 257, "ustar", 5) != 0)
			continue;
		memset(bytes + at + 148, ' ', 8);
		for (int index = 0; index < TAR_BLOCK; index++)
			sum += bytes[at + (size_t)index];
		char digits[8];
		snprintf(digits, sizeof(digits), "%06o", sum & 0777777);
		memcpy(bytes + at + 148, digits, 7);
	}
}

static void tar_round(void)
{
	static struct tar_entry entry;
	static int memory = -1, sink = -1;
	size_t length = mutate(make_tar(input));
	struct tar_reader reader;
	const uint8_t *data;
	char cleaned[PATH_MAX];
	struct err err;

	repair_checksums(input, length);
	if (memory < 0)
		memory = memfd_create("fuzz", MFD_CLOEXEC);
	if (sink < 0)
		sink = memfd_create("sink", MFD_CLOEXEC);
	if (ftruncate(memory, 0) < 0 || pwrite(memory, input, length, 0) < 0 || lseek(memory, 0, SEEK_SET) < 0)
		abort();
	if (tar_open(&reader, memory, 1, &err) < 0)
		abort();
	/* As archives of volumes are read, or all others. */
	reader.volume = (int)(next_random() & 1);
	int result;
	while ((result = tar_next(&reader, &entry, &err)) > 0) {
		if (clean_name(entry.path, cleaned) == 0 && (strstr(cleaned, "//") || strcmp(cleaned, "..") == 0 || strncmp(cleaned, "../", 3) == 0 || *cleaned == '/'))
			abort();
		if (entry.sparse && (ftruncate(sink, 0) < 0 || lseek(sink, 0, SEEK_SET) < 0))
			abort();
		/* Holes cost nothing, but a size may be anything. */
		if (entry.sparse && entry.real_size < 1 << 20)
			sparse_write(&reader, &entry, sink, &err);
		while (tar_data(&reader, &data, 4096, &err) > 0)
			;
	}
	fuzz_tar.whole += result == 0;
	tar_close(&reader);
}

static void pax_round(void)
{
	static const char *const records[][2] = {
		{ "path", "a/longer/name" }, { "linkpath", "../x" }, { "size", "18446744073709551615" }, { "size", "3" },
		{ "uid", "4294967294" }, { "gid", "0" }, { "mtime", "-1.999999999" }, { "mtime", "1350244992.0239601089" },
		{ "SCHILY.xattr.user.a", "value" }, { "SCHILY.xattr.", "" }, { "GNU.sparse.major", "1" },
		{ "GNU.sparse.minor", "0" }, { "GNU.sparse.name", "a/b" }, { "GNU.sparse.realsize", "9" }, { "ATOLL.base", "a" },
		{ "ATOLL.at", "4096" }, { "ATOLL.note", "0123456789abcdef0123456789abcdef-fe00-1f-5-6b09c864-3e34" }, { "comment", "" },
	};
	static struct tar_entry entry;
	struct overrides over = { .volume = (int)(next_random() & 1) };
	struct err err;
	size_t length = 0;

	for (unsigned count = 1 + next_random() % 70; count > 0 && length < INPUT_ROOM - 200; count--) {
		const char *const *record = records[next_random() % (sizeof(records) / sizeof(*records))];

		length = put_record(input, length, record[0], record[1]);
	}
	length = mutate(length);
	uint8_t *copy = exact(input, length);
	memset(&entry, 0, sizeof(entry));
	if (tar_pax_header(copy, length, &entry, &over, &err) == 0)
		fuzz_pax.whole++;
	char boot[NOTE_BOOT + 1];
	struct volume_note note;
	volume_note_parse(entry.note, (int)(next_random() & 1), boot, &note);
	/* What was taken lies within the bytes given and within the entry's own room. */
	if (memchr(entry.path, 0, PATH_MAX) == NULL || memchr(entry.base, 0, PATH_MAX) == NULL || memchr(entry.note, 0, sizeof(entry.note)) == NULL || memchr(entry.link, 0, PATH_MAX) == NULL || entry.mtime_ns > 999999999)
		abort();
	for (size_t index = 0; index < entry.xattr_count; index++)
		if (entry.xattrs[index].value < copy || entry.xattrs[index].value + entry.xattrs[index].length > copy + length)
			abort();
	free(copy);
}

struct target fuzz_tar = { "archives", tar_round, 0 };
struct target fuzz_pax = { "pax headers", pax_round, 0 };
