#include "tar-write.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"

static const char STEP[] = "write archive";

int tar_writer_open(struct tar_writer *writer, int fd, struct err *err)
{
	*writer = (struct tar_writer){ .fd = fd, .buffer = malloc(TAR_BUFFER) };
	sha256_init(&writer->hash);
	return writer->buffer ? 0 : err_set(err, ENOMEM, STEP, "out of memory");
}

int tar_write_flush(struct tar_writer *writer, struct err *err)
{
	if (writer->used > 0 && write_all(writer->fd, writer->buffer, writer->used) < 0)
		return err_sys(err, STEP, "write");
	if (writer->hashing)
		sha256_update(&writer->hash, writer->buffer, writer->used);
	writer->written += writer->used;
	writer->used = 0;
	return 0;
}

int tar_write_bytes(struct tar_writer *writer, const void *bytes, size_t length, struct err *err)
{
	const uint8_t *at = bytes;

	while (length > 0) {
		size_t count = TAR_BUFFER - writer->used < length ? TAR_BUFFER - writer->used : length;

		memcpy(writer->buffer + writer->used, at, count);
		writer->used += count;
		at += count;
		length -= count;
		if (writer->used == TAR_BUFFER && tar_write_flush(writer, err) < 0)
			return -1;
	}
	return 0;
}

int tar_write_padding(struct tar_writer *writer, uint64_t size, struct err *err)
{
	static const uint8_t zeros[TAR_BLOCK];

	return tar_write_bytes(writer, zeros, (size_t)(-size & (TAR_BLOCK - 1)), err);
}

int tar_write_end(struct tar_writer *writer, struct err *err)
{
	static const uint8_t zeros[2 * TAR_BLOCK];

	if (tar_write_bytes(writer, zeros, sizeof(zeros), err) < 0 || tar_write_flush(writer, err) < 0)
		return -1;
	free(writer->buffer);
	writer->buffer = NULL;
	return 0;
}

static void octal(uint8_t *field, size_t size, uint64_t value)
{
	field[size - 1] = '\0';
	for (size_t index = size - 1; index-- > 0; value >>= 3)
		field[index] = (uint8_t)('0' + (value & 7));
}

static void seal_header(uint8_t *block)
{
	unsigned sum = 0;

	memcpy(block + 257, "ustar\00000", 8);
	memset(block + 148, ' ', 8);
	for (int index = 0; index < TAR_BLOCK; index++)
		sum += block[index];
	octal(block + 148, 7, sum);
	block[155] = ' ';
}

struct pax {
	uint8_t *bytes;
	size_t used, room;
};

static int pax_add(struct pax *pax, const char *key, const void *value, size_t length)
{
	size_t body = 1 + strlen(key) + 1 + length + 1, total = body + 1;
	char digits[24];

	/* The record's length counts its own digits. */
	while (total != body + (size_t)snprintf(digits, sizeof(digits), "%zu", total))
		total = body + strlen(digits);
	if (pax->used + total + 1 > pax->room) {
		size_t room = (pax->used + total + 1) * 2;
		uint8_t *grown = realloc(pax->bytes, room);

		if (!grown)
			return -1;
		pax->bytes = grown;
		pax->room = room;
	}
	int head = snprintf((char *)pax->bytes + pax->used, pax->room - pax->used, "%s %s=", digits, key);
	memcpy(pax->bytes + pax->used + head, value, length);
	pax->bytes[pax->used + total - 1] = '\n';
	pax->used += total;
	return 0;
}

static int pax_number(struct pax *pax, const char *key, int64_t value)
{
	char text[24];

	return pax_add(pax, key, text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)value));
}

/* Seconds with what is beyond them; below zero both count backwards. */
static int pax_time(struct pax *pax, int64_t seconds, uint32_t ns)
{
	char text[48];
	int negative = seconds < 0;
	uint64_t whole = negative ? (uint64_t)-(seconds + (ns > 0)) : (uint64_t)seconds;
	uint32_t rest = negative && ns > 0 ? 1000000000 - ns : ns;

	if (ns == 0)
		return pax_number(pax, "mtime", seconds);
	return pax_add(pax, "mtime", text, (size_t)snprintf(text, sizeof(text), "%s%llu.%09u", negative ? "-" : "", (unsigned long long)whole, rest));
}

static int pax_sparse(struct pax *pax, const struct tar_entry *entry)
{
	return pax_add(pax, "GNU.sparse.major", "1", 1) | pax_add(pax, "GNU.sparse.minor", "0", 1) |
	       pax_add(pax, "GNU.sparse.name", entry->path, strlen(entry->path)) |
	       pax_number(pax, "GNU.sparse.realsize", (int64_t)entry->real_size);
}

/* Splits a name over the prefix and name fields; -1 when it does not fit or is not ASCII. */
static int ustar_name(uint8_t *block, const char *path)
{
	size_t length = strlen(path);

	for (size_t index = 0; index < length; index++)
		if ((unsigned char)path[index] >= 0x80)
			return -1;
	if (length <= 100) {
		memcpy(block, path, length);
		return 0;
	}
	for (size_t split = length > 256 ? length : (length > 101 ? length - 101 : 1); split < length && split <= 155; split++) {
		if (path[split] != '/' || length - split - 1 > 100 || length - split - 1 == 0)
			continue;
		memcpy(block + 345, path, split);
		memcpy(block, path + split + 1, length - split - 1);
		return 0;
	}
	return -1;
}

static int write_pax(struct tar_writer *writer, const struct pax *pax, struct err *err)
{
	uint8_t block[TAR_BLOCK] = { 0 };

	memcpy(block, "pax", 3);
	octal(block + 100, 8, 0644);
	octal(block + 108, 8, 0);
	octal(block + 116, 8, 0);
	octal(block + 124, 12, pax->used);
	octal(block + 136, 12, 0);
	block[156] = 'x';
	seal_header(block);
	if (tar_write_bytes(writer, block, sizeof(block), err) < 0 || tar_write_bytes(writer, pax->bytes, pax->used, err) < 0)
		return -1;
	return tar_write_padding(writer, pax->used, err);
}

int tar_write_header(struct tar_writer *writer, const struct tar_entry *entry, struct err *err)
{
	uint8_t block[TAR_BLOCK] = { 0 };
	struct pax pax = { 0 };
	char key[300];
	int failed = 0;

	if (entry->sparse)
		failed |= pax_sparse(&pax, entry);
	/* What a reader that knows no sparse files would call it. */
	if (ustar_name(block, entry->sparse ? "GNUSparseFile.0/data" : entry->path) < 0)
		failed |= pax_add(&pax, "path", entry->path, strlen(entry->path));
	if (strlen(entry->link) <= 100)
		memcpy(block + 157, entry->link, strlen(entry->link));
	else
		failed |= pax_add(&pax, "linkpath", entry->link, strlen(entry->link));
	octal(block + 100, 8, entry->mode);
	octal(block + 108, 8, entry->uid > 07777777 ? 0 : entry->uid);
	octal(block + 116, 8, entry->gid > 07777777 ? 0 : entry->gid);
	octal(block + 124, 12, entry->size > 077777777777 ? 0 : entry->size);
	octal(block + 136, 12, entry->mtime < 0 || entry->mtime > 077777777777 ? 0 : (uint64_t)entry->mtime);
	if (entry->uid > 07777777)
		failed |= pax_number(&pax, "uid", (int64_t)entry->uid);
	if (entry->gid > 07777777)
		failed |= pax_number(&pax, "gid", (int64_t)entry->gid);
	if (entry->size > 077777777777)
		failed |= pax_number(&pax, "size", (int64_t)entry->size);
	if (entry->mtime < 0 || entry->mtime > 077777777777 || entry->mtime_ns > 0)
		failed |= pax_time(&pax, entry->mtime, entry->mtime_ns);
	if (entry->base[0])
		failed |= pax_add(&pax, "ATOLL.base", entry->base, strlen(entry->base));
	if (entry->at > 0)
		failed |= pax_number(&pax, "ATOLL.at", (int64_t)entry->at);
	if (entry->note[0])
		failed |= pax_add(&pax, "ATOLL.note", entry->note, strlen(entry->note));
	for (size_t index = 0; index < entry->xattr_count; index++) {
		snprintf(key, sizeof(key), "SCHILY.xattr.%s", entry->xattrs[index].name);
		failed |= pax_add(&pax, key, entry->xattrs[index].value, entry->xattrs[index].length);
	}
	block[156] = (uint8_t)entry->type;
	octal(block + 329, 8, entry->major);
	octal(block + 337, 8, entry->minor);
	seal_header(block);
	if (failed)
		err_set(err, ENOMEM, STEP, "out of memory");
	else if (pax.used > 0)
		failed = write_pax(writer, &pax, err);
	free(pax.bytes);
	return failed ? -1 : tar_write_bytes(writer, block, sizeof(block), err);
}
