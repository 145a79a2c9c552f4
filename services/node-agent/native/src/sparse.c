#include "sparse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io.h"
#include "tar-header.h"

static const char STEP[] = "unpack";

int sparse_find(int file, const struct stat *info, uint64_t from, uint64_t to, struct sparse_map *map)
{
	off_t at = (off_t)from, size = (off_t)to;

	map->count = 0;
	if (to <= from || info->st_blocks * 512 >= info->st_size)
		return 0;
	while (at < size && map->count < SPARSE_PIECES - 1) {
		off_t data = lseek(file, at, SEEK_DATA);
		/* ENXIO: nothing but a hole is left. A file system without SEEK_DATA says that all is data. */
		if (data < 0 || data >= size)
			break;
		off_t hole = map->count == SPARSE_PIECES - 2 ? size : lseek(file, data, SEEK_HOLE);
		if (hole < 0 || hole > size)
			hole = size;
		map->pieces[map->count].at = (uint64_t)data;
		map->pieces[map->count++].length = (uint64_t)(hole - data);
		at = hole;
	}
	int whole = map->count == 1 && map->pieces[0].at == from && map->pieces[0].length == to - from;
	if (lseek(file, (off_t)from, SEEK_SET) < 0 || whole)
		return 0;
	/* A hole at the end is told by an empty piece there. */
	if (at < size || map->count == 0) {
		map->pieces[map->count].at = (uint64_t)size;
		map->pieces[map->count++].length = 0;
	}
	return 1;
}

size_t sparse_text(const struct sparse_map *map, char **text)
{
	size_t room = 32 + map->count * 44 + TAR_BLOCK, used = 0;

	*text = calloc(1, room);
	if (!*text)
		return 0;
	used += (size_t)snprintf(*text, room, "%zu\n", map->count);
	for (size_t index = 0; index < map->count; index++)
		used += (size_t)snprintf(*text + used, room - used, "%llu\n%llu\n", (unsigned long long)map->pieces[index].at,
					 (unsigned long long)map->pieces[index].length);
	return (used + TAR_BLOCK - 1) & ~(size_t)(TAR_BLOCK - 1);
}

/* One decimal line of the map; `taken` counts its bytes. */
static int number(struct tar_reader *reader, uint64_t *value, size_t *taken, struct err *err)
{
	char text[24];
	size_t length = 0;

	for (;;) {
		const uint8_t *byte;
		long count = tar_data(reader, &byte, 1, err);

		if (count <= 0)
			return count < 0 ? -1 : tar_bad(err, "a sparse file's map ends early");
		++*taken;
		if (*byte == '\n')
			break;
		if (length == sizeof(text) - 1)
			return tar_bad(err, "a number of a sparse file's map");
		text[length++] = (char)*byte;
	}
	text[length] = '\0';
	return parse_decimal(text, INT64_MAX, value) < 0 ? tar_bad(err, "a number of a sparse file's map") : 0;
}

static int read_map(struct tar_reader *reader, const struct tar_entry *entry, struct sparse_map *map, struct err *err)
{
	uint64_t count, end = 0;
	size_t taken = 0;

	if (number(reader, &count, &taken, err) < 0)
		return -1;
	if (count > SPARSE_PIECES)
		return tar_bad(err, "a sparse file of more than 4096 pieces");
	for (map->count = 0; map->count < count; map->count++) {
		uint64_t at, length;

		if (number(reader, &at, &taken, err) < 0 || number(reader, &length, &taken, err) < 0)
			return -1;
		if (at < end || at > entry->real_size || length > entry->real_size - at)
			return tar_bad(err, "a sparse file's map");
		map->pieces[map->count].at = at;
		map->pieces[map->count].length = length;
		end = at + length;
	}
	while (taken % TAR_BLOCK != 0) {
		const uint8_t *ignored;
		long skipped = tar_data(reader, &ignored, TAR_BLOCK - taken % TAR_BLOCK, err);

		if (skipped <= 0)
			return skipped < 0 ? -1 : tar_bad(err, "a sparse file's map ends early");
		taken += (size_t)skipped;
	}
	return 0;
}

int sparse_write(struct tar_reader *reader, const struct tar_entry *entry, int file, struct err *err)
{
	static struct sparse_map map;
	const uint8_t *bytes;
	long count;

	if (read_map(reader, entry, &map, err) < 0)
		return -1;
	for (size_t index = 0; index < map.count; index++) {
		uint64_t left = map.pieces[index].length;

		if (lseek(file, (off_t)map.pieces[index].at, SEEK_SET) < 0)
			return err_sys(err, STEP, "%s: seek", entry->path);
		for (; left > 0; left -= (uint64_t)count) {
			count = tar_data(reader, &bytes, left < TAR_BUFFER ? (size_t)left : TAR_BUFFER, err);
			if (count <= 0)
				return count < 0 ? -1 : tar_bad(err, "a sparse file has less data than its map says");
			if (write_all(file, bytes, (size_t)count) < 0)
				return err_sys(err, STEP, "%s: write", entry->path);
		}
	}
	if (reader->left > 0)
		return tar_bad(err, "a sparse file has more data than its map says");
	return ftruncate(file, (off_t)entry->real_size) < 0 ? err_sys(err, STEP, "%s: set its size", entry->path) : 0;
}
