#ifndef ATOLL_LOG_H
#define ATOLL_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

/*
 * The container's log: files named 1, 2, 3 … in one folder, records in README.md's form. When the
 * current file would pass `max_bytes` the next number begins; only the newest `max_files` are kept.
 */
struct log {
	int directory;
	int file;
	uint64_t number;
	uint64_t size;
	uint64_t max_bytes;
	uint32_t max_files;
	uint64_t lost_bytes; /* output that could not be written (disk full) */
};

/* Makes the folder when missing; goes on behind the last whole record of an earlier run. */
int log_open(struct log *log, const char *directory, uint64_t max_bytes, uint32_t max_files, struct err *err);
/* A write that fails is undone and counted: the container is never stopped by its log. */
void log_write(struct log *log, uint8_t stream, const void *bytes, size_t length);
void log_close(struct log *log);

#endif
