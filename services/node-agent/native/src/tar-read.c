#include "tar-header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char STEP[] = "read archive";

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

static void hash_taken(struct tar_reader *reader)
{
	if (reader->hashing)
		sha256_update(&reader->hash, reader->buffer + reader->hashed, reader->at - reader->hashed);
	reader->hashed = reader->at;
}

/* 1 when there are bytes, 0 at the end of input. */
static int fill(struct tar_reader *reader, struct err *err)
{
	ssize_t count;

	if (reader->at < reader->end)
		return 1;
	hash_taken(reader);
	do
		count = read(reader->fd, reader->buffer, TAR_BUFFER);
	while (count < 0 && errno == EINTR);
	if (count < 0)
		return err_sys(err, STEP, "read");
	reader->at = reader->hashed = 0;
	reader->end = (size_t)count;
	return count > 0;
}

static int take(struct tar_reader *reader, uint8_t *out, size_t size, struct err *err)
{
	while (size > 0) {
		int result = fill(reader, err);

		if (result <= 0)
			return result < 0 ? -1 : tar_bad(err, "it ends in the middle");
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
		return result < 0 ? -1 : tar_bad(err, "it ends in the middle of a file");
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

/* Reads the data of an extension member into memory; terminated by a zero that is not counted. */
static uint8_t *extension(struct tar_reader *reader, uint64_t size, struct err *err)
{
	if (size > TAR_MAX_EXTENSION) {
		tar_bad(err, "an extended header longer than 2 MiB");
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

/* 1: `block` is a real member's header; 2: it was an extension, read on; 0: end. */
static int read_header(struct tar_reader *reader, uint8_t *block, struct tar_entry *entry, struct overrides *over, struct err *err)
{
	int64_t size;
	int result = fill(reader, err);

	if (result <= 0)
		return result;
	if (take(reader, block, TAR_BLOCK, err) < 0)
		return -1;
	if (tar_is_zero(block))
		return 0;
	if (!tar_checksum_fits(block))
		return tar_bad(err, "a header's checksum");
	if (!strchr("xgLK", block[156]) || block[156] == '\0')
		return 1;
	if (tar_number(block + 124, 12, 0, &size) < 0)
		return tar_bad(err, "a number in a header");
	uint8_t *bytes = extension(reader, (uint64_t)size, err);
	if (!bytes)
		return -1;
	if (block[156] == 'x') {
		free(reader->extension);
		reader->extension = bytes;
		return tar_pax_header(bytes, (size_t)size, entry, over, err) < 0 ? -1 : 2;
	}
	/* Global headers are comments to us: Docker's reader does not apply them either. */
	result = 2;
	if (block[156] == 'L') {
		over->path = 1;
		result = tar_set_text(entry->path, bytes, strnlen((const char *)bytes, (size_t)size), err) < 0 ? -1 : 2;
	} else if (block[156] == 'K') {
		over->link = 1;
		result = tar_set_text(entry->link, bytes, strnlen((const char *)bytes, (size_t)size), err) < 0 ? -1 : 2;
	}
	free(bytes);
	return result;
}

int tar_next(struct tar_reader *reader, struct tar_entry *entry, struct err *err)
{
	uint8_t block[TAR_BLOCK];
	struct overrides over = { .volume = reader->volume };
	int result, extensions = 0;

	if (skip(reader, err) < 0)
		return -1;
	if (reader->volume) {
		hash_taken(reader);
		reader->before = reader->hash;
	}
	memset(entry, 0, sizeof(*entry));
	while ((result = read_header(reader, block, entry, &over, err)) == 2)
		if (++extensions > 16)
			return tar_bad(err, "too many extended headers before one member");
	if (result <= 0)
		return result == 0 && extensions > 0 ? tar_bad(err, "it ends after an extended header") : result;
	if (tar_header_fields(block, entry, &over, err) < 0)
		return -1;
	int refers = entry->base[0] && entry->at == 0;
	if (over.sparse != 0 && (over.sparse != SPARSE_COMPLETE || entry->type != '0' || refers))
		return tar_bad(err, "a sparse file's headers");
	entry->sparse = over.sparse != 0;
	if ((entry->base[0] || entry->at > 0) && entry->type != '0')
		return tar_bad(err, "a reference that is no file");
	if (refers && entry->size != 0)
		return tar_bad(err, "a reference that is no empty file");
	if (!strchr("0123456", entry->type))
		return err_set(err, EOPNOTSUPP, STEP, "%s: member type '%c' is not supported", entry->path, entry->type);
	/* Only files have data, whatever the size field of another type says (POSIX; GNU tar agrees for these types). */
	reader->left = entry->type == '0' ? entry->size : 0;
	if (entry->type != '0')
		entry->size = 0;
	reader->padding = -reader->left & (TAR_BLOCK - 1);
	return 1;
}
