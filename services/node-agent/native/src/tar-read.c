#include "tar-read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char STEP[] = "read archive";

static int bad(struct err *err, const char *what)
{
	return err_set(err, EBADMSG, STEP, "malformed archive: %s", what);
}

int tar_open(struct tar_reader *reader, int fd, int hashing, struct err *err)
{
	memset(reader, 0, sizeof(*reader));
	reader->fd = fd;
	reader->hashing = hashing;
	sha256_init(&reader->hash);
	reader->buffer = malloc(TAR_BUFFER);
	return reader->buffer ? 0 : err_set(err, ENOMEM, STEP, "out of memory");
}

void tar_close(struct tar_reader *reader)
{
	free(reader->buffer);
	free(reader->extension);
	reader->buffer = reader->extension = NULL;
}

/* 1 when there are bytes, 0 at the end of input. */
static int fill(struct tar_reader *reader, struct err *err)
{
	ssize_t count;

	if (reader->at < reader->end)
		return 1;
	do
		count = read(reader->fd, reader->buffer, TAR_BUFFER);
	while (count < 0 && errno == EINTR);
	if (count < 0)
		return err_sys(err, STEP, "read");
	if (reader->hashing)
		sha256_update(&reader->hash, reader->buffer, (size_t)count);
	reader->at = 0;
	reader->end = (size_t)count;
	return count > 0;
}

static int take(struct tar_reader *reader, uint8_t *out, size_t size, struct err *err)
{
	while (size > 0) {
		int result = fill(reader, err);

		if (result <= 0)
			return result < 0 ? -1 : bad(err, "it ends in the middle");
		size_t count = reader->end - reader->at < size ? reader->end - reader->at : size;
		if (out) {
			memcpy(out, reader->buffer + reader->at, count);
			out += count;
		}
		reader->at += count;
		size -= count;
	}
	return 0;
}

long tar_data(struct tar_reader *reader, const uint8_t **bytes, size_t size, struct err *err)
{
	if (reader->left == 0)
		return 0;
	int result = fill(reader, err);
	if (result <= 0)
		return result < 0 ? -1 : bad(err, "it ends in the middle of a file");
	size_t count = reader->end - reader->at;
	if (count > size)
		count = size;
	if (count > reader->left)
		count = (size_t)reader->left;
	*bytes = reader->buffer + reader->at;
	reader->at += count;
	reader->left -= count;
	return (long)count;
}

static int skip(struct tar_reader *reader, struct err *err)
{
	const uint8_t *ignored;
	long count;

	while ((count = tar_data(reader, &ignored, TAR_BUFFER, err)) > 0)
		;
	if (count < 0)
		return -1;
	size_t padding = (size_t)reader->padding;
	reader->padding = 0;
	return take(reader, NULL, padding, err);
}

int tar_drain(struct tar_reader *reader, struct err *err)
{
	int result;

	while ((result = fill(reader, err)) > 0)
		reader->at = reader->end;
	return result;
}

/* Octal text, or base 256 when the first byte's top bit is set. Negative numbers only for `is_signed`. */
static int number(const uint8_t *field, size_t size, int is_signed, int64_t *value)
{
	uint64_t result = 0;
	size_t at = 0;

	if (field[0] & 0x80) {
		int negative = (field[0] & 0x40) != 0;

		if (negative && !is_signed)
			return -1;
		result = negative ? ~(uint64_t)0 : 0;
		for (; at < size; at++) {
			uint8_t byte = at == 0 ? (uint8_t)(negative ? field[0] : field[0] & 0x7f) : field[at];

			if (negative ? (result >> 55) != 0x1ff : (result >> 55) != 0)
				return -1;
			result = result << 8 | byte;
		}
		*value = (int64_t)result;
		return 0;
	}
	while (at < size && field[at] == ' ')
		at++;
	for (; at < size && field[at] >= '0' && field[at] <= '7'; at++) {
		if (result >> 60)
			return -1;
		result = result << 3 | (uint64_t)(field[at] - '0');
	}
	for (; at < size; at++)
		if (field[at] != ' ' && field[at] != '\0')
			return -1;
	*value = (int64_t)result;
	return 0;
}

static int checksum_fits(const uint8_t *block)
{
	int64_t wanted;
	int64_t plain = 0, with_sign = 0;

	for (int index = 0; index < TAR_BLOCK; index++) {
		uint8_t byte = index >= 148 && index < 156 ? ' ' : block[index];

		plain += byte;
		with_sign += (int8_t)byte;
	}
	return number(block + 148, 8, 0, &wanted) == 0 && (wanted == plain || wanted == with_sign);
}

static int set_text(char *out, const uint8_t *text, size_t length, struct err *err)
{
	if (length >= PATH_MAX)
		return err_set(err, ENAMETOOLONG, STEP, "a name is longer than %d bytes", PATH_MAX - 1);
	if (memchr(text, 0, length))
		return bad(err, "a name holds a zero byte");
	memcpy(out, text, length);
	out[length] = '\0';
	return 0;
}

struct overrides {
	int path, link, size, uid, gid, mtime;
};

static int decimal(const uint8_t *text, size_t length, uint64_t *value)
{
	*value = 0;
	if (length == 0 || length > 19)
		return -1;
	for (size_t index = 0; index < length; index++) {
		if (text[index] < '0' || text[index] > '9')
			return -1;
		*value = *value * 10 + (uint64_t)(text[index] - '0');
	}
	return 0;
}

static int pax_time(const uint8_t *text, size_t length, struct tar_entry *entry)
{
	int negative = length > 0 && text[0] == '-';
	const uint8_t *dot = memchr(text, '.', length);
	size_t whole = dot ? (size_t)(dot - text) : length;
	uint64_t seconds;
	uint32_t ns = 0, scale = 100000000;

	if (decimal(text + negative, whole - (size_t)negative, &seconds) < 0 || seconds > INT64_MAX / 2)
		return -1;
	for (size_t index = whole + 1; index < length; index++, scale /= 10) {
		if (text[index] < '0' || text[index] > '9')
			return -1;
		ns += (uint32_t)(text[index] - '0') * scale;
	}
	entry->mtime = negative ? -(int64_t)seconds : (int64_t)seconds;
	if (negative && ns > 0) {
		entry->mtime -= 1;
		ns = 1000000000 - ns;
	}
	entry->mtime_ns = ns;
	return 0;
}

static int pax_record(const char *key, uint8_t *value, size_t length, struct tar_entry *entry, struct overrides *over,
		      struct err *err)
{
	static const char xattr[] = "SCHILY.xattr.";

	if (strcmp(key, "path") == 0) {
		over->path = 1;
		return set_text(entry->path, value, length, err);
	}
	if (strcmp(key, "linkpath") == 0) {
		over->link = 1;
		return set_text(entry->link, value, length, err);
	}
	if (strcmp(key, "size") == 0) {
		over->size = 1;
		return decimal(value, length, &entry->size) < 0 ? bad(err, "pax size") : 0;
	}
	if (strcmp(key, "uid") == 0 || strcmp(key, "gid") == 0) {
		int is_uid = key[0] == 'u';

		*(is_uid ? &over->uid : &over->gid) = 1;
		return decimal(value, length, is_uid ? &entry->uid : &entry->gid) < 0 ? bad(err, "pax owner") : 0;
	}
	if (strcmp(key, "mtime") == 0) {
		over->mtime = 1;
		return pax_time(value, length, entry) < 0 ? bad(err, "pax mtime") : 0;
	}
	if (strncmp(key, "GNU.sparse.", 11) == 0)
		return err_set(err, EOPNOTSUPP, STEP, "sparse files are not supported");
	if (strncmp(key, xattr, sizeof(xattr) - 1) == 0) {
		if (entry->xattr_count == TAR_MAX_XATTRS)
			return bad(err, "more than 64 extended attributes");
		entry->xattrs[entry->xattr_count++] = (struct tar_xattr){ key + sizeof(xattr) - 1, value, length };
	}
	return 0;
}

/* "<length> <key>=<value>\n" …; the bytes are changed in place to end the keys. */
static int pax_header(uint8_t *bytes, size_t size, struct tar_entry *entry, struct overrides *over, struct err *err)
{
	size_t at = 0;

	while (at < size) {
		size_t length = 0, start = at;

		while (at < size && bytes[at] >= '0' && bytes[at] <= '9' && length < TAR_MAX_EXTENSION)
			length = length * 10 + (size_t)(bytes[at++] - '0');
		if (at == start || at >= size || bytes[at] != ' ' || length <= at - start + 1 || length > size - start ||
		    bytes[start + length - 1] != '\n')
			return bad(err, "pax record length");
		uint8_t *key = bytes + at + 1, *end = bytes + start + length - 1;
		uint8_t *equals = memchr(key, '=', (size_t)(end - key));
		if (!equals || equals == key || memchr(key, 0, (size_t)(equals - key)))
			return bad(err, "pax record key");
		*equals = '\0';
		if (pax_record((const char *)key, equals + 1, (size_t)(end - equals - 1), entry, over, err) < 0)
			return -1;
		at = start + length;
	}
	return 0;
}

/* Reads the data of an extension member into memory; terminated by a zero that is not counted. */
static uint8_t *extension(struct tar_reader *reader, uint64_t size, struct err *err)
{
	if (size > TAR_MAX_EXTENSION) {
		bad(err, "an extended header longer than 2 MiB");
		return NULL;
	}
	uint8_t *bytes = malloc((size_t)size + 1);
	if (!bytes) {
		err_set(err, ENOMEM, STEP, "out of memory");
		return NULL;
	}
	if (take(reader, bytes, (size_t)size, err) < 0 || take(reader, NULL, (size_t)(-size & (TAR_BLOCK - 1)), err) < 0) {
		free(bytes);
		return NULL;
	}
	bytes[size] = '\0';
	return bytes;
}

static int header_fields(const uint8_t *block, struct tar_entry *entry, const struct overrides *over, struct err *err)
{
	int64_t mode, uid, gid, size, mtime, major = 0, minor = 0;
	int is_ustar = memcmp(block + 257, "ustar", 5) == 0;
	int is_device = block[156] == '3' || block[156] == '4';
	char name[PATH_MAX];

	if (number(block + 100, 8, 0, &mode) < 0 || number(block + 108, 8, 0, &uid) < 0 || number(block + 116, 8, 0, &gid) < 0 ||
	    number(block + 124, 12, 0, &size) < 0 || number(block + 136, 12, 1, &mtime) < 0)
		return bad(err, "a number in a header");
	if (is_device && (number(block + 329, 8, 0, &major) < 0 || number(block + 337, 8, 0, &minor) < 0 || major > 0xfff || minor > 0xfffff))
		return bad(err, "a device number");
	entry->type = block[156] == '\0' || block[156] == '7' ? '0' : (char)block[156];
	entry->mode = (uint32_t)mode & 07777;
	entry->major = (uint32_t)major;
	entry->minor = (uint32_t)minor;
	if (!over->uid)
		entry->uid = (uint64_t)uid;
	if (!over->gid)
		entry->gid = (uint64_t)gid;
	if (!over->size)
		entry->size = (uint64_t)size;
	if (!over->mtime) {
		entry->mtime = mtime;
		entry->mtime_ns = 0;
	}
	if (!over->link && set_text(entry->link, block + 157, strnlen((const char *)block + 157, 100), err) < 0)
		return -1;
	if (!over->path) {
		size_t prefix = is_ustar && block[263] == '0' ? strnlen((const char *)block + 345, 155) : 0;
		size_t length = strnlen((const char *)block, 100);

		memcpy(name, block + 345, prefix);
		if (prefix > 0)
			name[prefix++] = '/';
		memcpy(name + prefix, block, length);
		if (set_text(entry->path, (const uint8_t *)name, prefix + length, err) < 0)
			return -1;
	}
	size_t length = strlen(entry->path);
	if (entry->type == '0' && length > 0 && entry->path[length - 1] == '/')
		entry->type = '5';
	return entry->uid > UINT32_MAX - 1 || entry->gid > UINT32_MAX - 1 ? bad(err, "an owner beyond 32 bits") : 0;
}

static int is_zero(const uint8_t *block)
{
	for (int index = 0; index < TAR_BLOCK; index++)
		if (block[index])
			return 0;
	return 1;
}

/* 1: `block` is a real member's header; 2: it was an extension, read on; 0: end. */
static int read_header(struct tar_reader *reader, uint8_t *block, struct tar_entry *entry, struct overrides *over, struct err *err)
{
	int64_t size;
	int result = fill(reader, err);

	if (result <= 0)
		return result;
	if (take(reader, block, TAR_BLOCK, err) < 0)
		return -1;
	if (is_zero(block))
		return 0;
	if (!checksum_fits(block))
		return bad(err, "a header's checksum");
	if (!strchr("xgLK", block[156]) || block[156] == '\0')
		return 1;
	if (number(block + 124, 12, 0, &size) < 0)
		return bad(err, "a number in a header");
	uint8_t *bytes = extension(reader, (uint64_t)size, err);
	if (!bytes)
		return -1;
	if (block[156] == 'x') {
		free(reader->extension);
		reader->extension = bytes;
		return pax_header(bytes, (size_t)size, entry, over, err) < 0 ? -1 : 2;
	}
	/* Global headers are comments to us: Docker's reader does not apply them either. */
	result = 2;
	if (block[156] == 'L') {
		over->path = 1;
		result = set_text(entry->path, bytes, strnlen((const char *)bytes, (size_t)size), err) < 0 ? -1 : 2;
	} else if (block[156] == 'K') {
		over->link = 1;
		result = set_text(entry->link, bytes, strnlen((const char *)bytes, (size_t)size), err) < 0 ? -1 : 2;
	}
	free(bytes);
	return result;
}

int tar_next(struct tar_reader *reader, struct tar_entry *entry, struct err *err)
{
	uint8_t block[TAR_BLOCK];
	struct overrides over = { 0 };
	int result, extensions = 0;

	if (skip(reader, err) < 0)
		return -1;
	memset(entry, 0, sizeof(*entry));
	while ((result = read_header(reader, block, entry, &over, err)) == 2)
		if (++extensions > 16)
			return bad(err, "too many extended headers before one member");
	if (result <= 0)
		return result == 0 && extensions > 0 ? bad(err, "it ends after an extended header") : result;
	if (header_fields(block, entry, &over, err) < 0)
		return -1;
	if (!strchr("0123456", entry->type))
		return err_set(err, EOPNOTSUPP, STEP, "%s: member type '%c' is not supported", entry->path, entry->type);
	/* Only files have data, whatever the size field of another type says (POSIX; GNU tar agrees for these types). */
	reader->left = entry->type == '0' ? entry->size : 0;
	if (entry->type != '0')
		entry->size = 0;
	reader->padding = -reader->left & (TAR_BLOCK - 1);
	return 1;
}
