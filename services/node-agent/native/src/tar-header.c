#include "tar-header.h"

#include <errno.h>
#include <string.h>

static const char STEP[] = "read archive";

int tar_bad(struct err *err, const char *what)
{
	return err_set(err, EBADMSG, STEP, "malformed archive: %s", what);
}

int tar_number(const uint8_t *field, size_t size, int is_signed, int64_t *value)
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

int tar_checksum_fits(const uint8_t *block)
{
	int64_t wanted;
	int64_t plain = 0, with_sign = 0;

	for (int index = 0; index < TAR_BLOCK; index++) {
		uint8_t byte = index >= 148 && index < 156 ? ' ' : block[index];

		plain += byte;
		with_sign += (int8_t)byte;
	}
	return tar_number(block + 148, 8, 0, &wanted) == 0 && (wanted == plain || wanted == with_sign);
}

int tar_set_text(char *out, const uint8_t *text, size_t length, struct err *err)
{
	if (length >= PATH_MAX)
		return err_set(err, ENAMETOOLONG, STEP, "a name is longer than %d bytes", PATH_MAX - 1);
	if (memchr(text, 0, length))
		return tar_bad(err, "a name holds a zero byte");
	memcpy(out, text, length);
	out[length] = '\0';
	return 0;
}

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

/* GNU's pax format 1.0 for files with holes; its name is the real one, whatever `path` says. */
static int pax_sparse(const char *key, uint8_t *value, size_t length, struct tar_entry *entry, struct overrides *over, struct err *err)
{
	if (strcmp(key, "major") == 0 && length == 1 && value[0] == '1') {
		over->sparse |= SPARSE_MAJOR;
	} else if (strcmp(key, "minor") == 0 && length == 1 && value[0] == '0') {
		over->sparse |= SPARSE_MINOR;
	} else if (strcmp(key, "name") == 0) {
		over->sparse |= SPARSE_NAME;
		return tar_set_text(entry->path, value, length, err);
	} else if (strcmp(key, "realsize") == 0) {
		over->sparse |= SPARSE_SIZE;
		return decimal(value, length, &entry->real_size) < 0 ? tar_bad(err, "sparse size") : 0;
	} else {
		return err_set(err, EOPNOTSUPP, STEP, "sparse files of another format than GNU's 1.0 are not supported");
	}
	return 0;
}

static int pax_record(const char *key, uint8_t *value, size_t length, struct tar_entry *entry, struct overrides *over,
		      struct err *err)
{
	static const char xattr[] = "SCHILY.xattr.";

	if (strcmp(key, "path") == 0) {
		over->path = 1;
		if (over->sparse & SPARSE_NAME)
			return 0;
		return tar_set_text(entry->path, value, length, err);
	}
	if (strcmp(key, "linkpath") == 0) {
		over->link = 1;
		return tar_set_text(entry->link, value, length, err);
	}
	if (strcmp(key, "size") == 0) {
		over->size = 1;
		return decimal(value, length, &entry->size) < 0 ? tar_bad(err, "pax size") : 0;
	}
	if (strcmp(key, "uid") == 0 || strcmp(key, "gid") == 0) {
		int is_uid = key[0] == 'u';

		*(is_uid ? &over->uid : &over->gid) = 1;
		return decimal(value, length, is_uid ? &entry->uid : &entry->gid) < 0 ? tar_bad(err, "pax owner") : 0;
	}
	if (strcmp(key, "mtime") == 0) {
		over->mtime = 1;
		return pax_time(value, length, entry) < 0 ? tar_bad(err, "pax mtime") : 0;
	}
	if (strcmp(key, "ATOLL.base") == 0 && over->volume)
		return length == 0 ? tar_bad(err, "an empty reference") : tar_set_text(entry->base, value, length, err);
	if (strcmp(key, "ATOLL.at") == 0 && over->volume)
		return decimal(value, length, &entry->at) < 0 ? tar_bad(err, "the begin of a piece") : 0;
	if (strcmp(key, "ATOLL.note") == 0 && over->volume) {
		if (length >= sizeof(entry->note) || memchr(value, 0, length))
			return tar_bad(err, "a note");
		memcpy(entry->note, value, length);
		entry->note[length] = '\0';
		return 0;
	}
	if (strncmp(key, "GNU.sparse.", 11) == 0 && over->volume)
		return pax_sparse(key + 11, value, length, entry, over, err);
	if (strncmp(key, "GNU.sparse.", 11) == 0)
		return err_set(err, EOPNOTSUPP, STEP, "sparse files are not supported");
	if (strncmp(key, xattr, sizeof(xattr) - 1) == 0) {
		if (entry->xattr_count == TAR_MAX_XATTRS)
			return tar_bad(err, "more than 64 extended attributes");
		entry->xattrs[entry->xattr_count++] = (struct tar_xattr){ key + sizeof(xattr) - 1, value, length };
	}
	return 0;
}

int tar_pax_header(uint8_t *bytes, size_t size, struct tar_entry *entry, struct overrides *over, struct err *err)
{
	size_t at = 0;

	while (at < size) {
		size_t length = 0, start = at;

		while (at < size && bytes[at] >= '0' && bytes[at] <= '9' && length < TAR_MAX_EXTENSION)
			length = length * 10 + (size_t)(bytes[at++] - '0');
		if (at == start || at >= size || bytes[at] != ' ' || length <= at - start + 1 || length > size - start ||
		    bytes[start + length - 1] != '\n')
			return tar_bad(err, "pax record length");
		uint8_t *key = bytes + at + 1, *end = bytes + start + length - 1;
		uint8_t *equals = memchr(key, '=', (size_t)(end - key));
		if (!equals || equals == key || memchr(key, 0, (size_t)(equals - key)))
			return tar_bad(err, "pax record key");
		*equals = '\0';
		if (pax_record((const char *)key, equals + 1, (size_t)(end - equals - 1), entry, over, err) < 0)
			return -1;
		at = start + length;
	}
	return 0;
}

int tar_header_fields(const uint8_t *block, struct tar_entry *entry, const struct overrides *over, struct err *err)
{
	int64_t mode, uid, gid, size, mtime, major = 0, minor = 0;
	int is_ustar = memcmp(block + 257, "ustar", 5) == 0;
	int is_device = block[156] == '3' || block[156] == '4';
	char name[PATH_MAX];

	if (tar_number(block + 100, 8, 0, &mode) < 0 || tar_number(block + 108, 8, 0, &uid) < 0 || tar_number(block + 116, 8, 0, &gid) < 0 ||
	    tar_number(block + 124, 12, 0, &size) < 0 || tar_number(block + 136, 12, 1, &mtime) < 0)
		return tar_bad(err, "a number in a header");
	if (is_device && (tar_number(block + 329, 8, 0, &major) < 0 || tar_number(block + 337, 8, 0, &minor) < 0 || major > 0xfff || minor > 0xfffff))
		return tar_bad(err, "a device number");
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
	if (!over->link && tar_set_text(entry->link, block + 157, strnlen((const char *)block + 157, 100), err) < 0)
		return -1;
	if (!over->path && !(over->sparse & SPARSE_NAME)) {
		size_t prefix = is_ustar && block[263] == '0' ? strnlen((const char *)block + 345, 155) : 0;
		size_t length = strnlen((const char *)block, 100);

		memcpy(name, block + 345, prefix);
		if (prefix > 0)
			name[prefix++] = '/';
		memcpy(name + prefix, block, length);
		if (tar_set_text(entry->path, (const uint8_t *)name, prefix + length, err) < 0)
			return -1;
	}
	size_t length = strlen(entry->path);
	if (entry->type == '0' && length > 0 && entry->path[length - 1] == '/')
		entry->type = '5';
	return entry->uid > UINT32_MAX - 1 || entry->gid > UINT32_MAX - 1 ? tar_bad(err, "an owner beyond 32 bits") : 0;
}

int tar_is_zero(const uint8_t *block)
{
	for (int index = 0; index < TAR_BLOCK; index++)
		if (block[index])
			return 0;
	return 1;
}
