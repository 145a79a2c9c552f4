#ifndef ATOLL_IO_H
#define ATOLL_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

#define CLEANUP_CLOSE __attribute__((cleanup(close_fd_cleanup)))
#define CLEANUP_FREE __attribute__((cleanup(free_cleanup)))

void close_fd_cleanup(const int *fd);
void free_cleanup(void *pointer);

/* Writes all bytes, retrying on EINTR; -1 with errno on failure. */
int write_all(int fd, const void *bytes, size_t length);

/* Reads exactly `length` bytes; 0 at once-ended input gives -1 with errno EPIPE. */
int read_exact(int fd, void *bytes, size_t length);

/* Reads the whole file relative to `dir`, at most `limit` bytes; terminated by a zero that is not counted. */
char *read_file_at(int dir, const char *path, size_t limit, size_t *length);

/* One write() of a text to an existing file (cgroup, sysctl, proc files). -1 with errno. */
int write_file_at(int dir, const char *path, const char *text);

/* Writes <name>.tmp and renames it to <name>; gives the open file, to be synced, or -1. */
int write_file_atomic(int dir, const char *name, const char *text, size_t length);

uint64_t now_realtime_ns(void);
uint64_t now_monotonic_ms(void);

/* Field 22 of /proc/<pid>/stat; 0 when there is no such process. */
uint64_t process_start_ticks(pid_t pid);

/* Decimal digits only, no sign, no leading zero unless it is "0"; -1 otherwise or beyond `limit`. */
int parse_decimal(const char *text, uint64_t limit, uint64_t *value);

#endif
