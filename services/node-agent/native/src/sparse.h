#ifndef ATOLL_SPARSE_H
#define ATOLL_SPARSE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "err.h"
#include "tar-read.h"

enum { SPARSE_PIECES = 4096 };

/* What of a file is no hole, in order. */
struct sparse_map {
	struct { uint64_t at, length; } pieces[SPARSE_PIECES];
	size_t count;
};

/* 1 when the file has holes between two offsets; it is at the first one then. Beyond 4096 pieces the rest counts as one. */
int sparse_find(int file, const struct stat *info, uint64_t from, uint64_t to, struct sparse_map *map);

/* The map as GNU's pax format 1.0 writes it before the data: decimal lines, filled up to a block. Its length, 0 without memory. */
size_t sparse_text(const struct sparse_map *map, char **text);

/* Reads map and data of the member at hand into the file, which ends where the map begins or before. */
int sparse_write(struct tar_reader *reader, const struct tar_entry *entry, int file, struct err *err);

#endif
