#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void close_fd_cleanup(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

void free_cleanup(void *pointer)
{
	free(*(void **)pointer);
}

int write_all(int fd, const void *bytes, size_t length)
{
	const char *at = bytes;

	while (length > 0) {
		ssize_t count = write(fd, at, length);

		if (count < 0) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		at += count;
		length -= (size_t)count;
	}
	return 0;
}

int read_exact(int fd, void *bytes, size_t length)
{
	char *at = bytes;

	while (length > 0) {
		ssize_t count = read(fd, at, length);

		if (count < 0) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		if (count == 0) {
			errno = EPIPE;
			return -1;
		}
		at += count;
		length -= (size_t)count;
	}
	return 0;
}

char *read_file_at(int dir, const char *path, size_t limit, size_t *length)
{
	CLEANUP_CLOSE int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t room = 4096, used = 0;
	char *bytes;

	if (fd < 0)
		return NULL;
	bytes = malloc(room);
	while (bytes) {
		ssize_t count = read(fd, bytes + used, room - used - 1);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			break;
		if (count == 0) {
			bytes[used] = '\0';
			if (length)
				*length = used;
			return bytes;
		}
		used += (size_t)count;
		if (used > limit) {
			errno = EFBIG;
			break;
		}
		if (room - used < 2) {
			char *grown = realloc(bytes, room * 2);

			if (!grown)
				break;
			bytes = grown;
			room *= 2;
		}
	}
	free(bytes);
	return NULL;
}

int write_file_at(int dir, const char *path, const char *text)
{
	CLEANUP_CLOSE int fd = openat(dir, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	size_t length = strlen(text);

	if (fd < 0)
		return -1;
	ssize_t count;
	do
		count = write(fd, text, length);
	while (count < 0 && errno == EINTR);
	if (count < 0)
		return -1;
	if ((size_t)count != length) {
		errno = EIO;
		return -1;
	}
	return 0;
}

int write_file_atomic(int dir, const char *name, const char *text, size_t length)
{
	char temporary[128];

	snprintf(temporary, sizeof(temporary), "%s.tmp", name);
	int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0 && (write_all(fd, text, length) < 0 || renameat(dir, temporary, dir, name) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

uint64_t now_realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t now_monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

uint64_t process_start_ticks(pid_t pid)
{
	char path[64];
	size_t length;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	CLEANUP_FREE char *stat = read_file_at(AT_FDCWD, path, 65536, &length);
	if (!stat)
		return 0;
	/* The command name may hold spaces and brackets: fields count from its last bracket. */
	char *field = strrchr(stat, ')');
	for (int index = 2; field && index < 22; index++)
		field = strchr(field + 1, ' ');
	return field ? strtoull(field + 1, NULL, 10) : 0;
}

int parse_decimal(const char *text, uint64_t limit, uint64_t *value)
{
	uint64_t result = 0;

	if (*text == '\0' || (text[0] == '0' && text[1] != '\0'))
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		if (result > (UINT64_MAX - 9) / 10)
			return -1;
		result = result * 10 + (uint64_t)(*text - '0');
		if (result > limit)
			return -1;
	}
	*value = result;
	return 0;
}
