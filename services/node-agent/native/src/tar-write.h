#ifndef ATOLL_TAR_WRITE_H
#define ATOLL_TAR_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "tar-read.h"

struct tar_writer {
	int fd;
	uint8_t *buffer;
	size_t used;
	uint64_t written;    /* flushed bytes */
	struct sha256 hash;  /* of those, when `hashing` */
	int hashing;
};

int tar_writer_open(struct tar_writer *writer, int fd, struct err *err);
/* ustar, with a pax header for what does not fit: long names, large numbers, attributes, parts of seconds. */
int tar_write_header(struct tar_writer *writer, const struct tar_entry *entry, struct err *err);
int tar_write_bytes(struct tar_writer *writer, const void *bytes, size_t length, struct err *err);
/* Zeros up to the next block. */
int tar_write_padding(struct tar_writer *writer, uint64_t size, struct err *err);
int tar_write_flush(struct tar_writer *writer, struct err *err);
/* The end mark; flushes. */
int tar_write_end(struct tar_writer *writer, struct err *err);

#endif
