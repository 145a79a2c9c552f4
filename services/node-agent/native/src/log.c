#include "log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io.h"

enum { HEADER = 13, TRAILER = 4 };

static int open_number(struct log *log, int flags)
{
	char name[24];

	snprintf(name, sizeof(name), "%llu", (unsigned long long)log->number);
	return openat(log->directory, name, flags | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static uint64_t newest_number(int directory)
{
	int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	uint64_t newest = 0, number;

	if (!stream)
		return 0;
	while ((entry = readdir(stream)))
		if (parse_decimal(entry->d_name, UINT64_MAX / 16, &number) == 0 && number > newest)
			newest = number;
	closedir(stream);
	return newest;
}

/* A shim killed inside a write leaves a torn record; readers can then not walk back from the end. */
static int ends_whole(int directory, uint64_t number, uint64_t size)
{
	char name[24];
	uint32_t trailer, header;

	if (size == 0)
		return 1;
	snprintf(name, sizeof(name), "%llu", (unsigned long long)number);
	CLEANUP_CLOSE int file = openat(directory, name, O_RDONLY | O_CLOEXEC);
	if (file < 0 || size < HEADER + TRAILER || pread(file, &trailer, 4, (off_t)(size - TRAILER)) != 4 ||
	    trailer > size - HEADER - TRAILER || pread(file, &header, 4, (off_t)(size - TRAILER - trailer - HEADER)) != 4)
		return 0;
	return header == trailer;
}

int log_open(struct log *log, const char *directory, uint64_t max_bytes, uint32_t max_files, struct err *err)
{
	struct stat info;

	*log = (struct log){ .directory = -1, .file = -1, .max_bytes = max_bytes, .max_files = max_files };
	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "open log", "make %s", directory);
	log->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (log->directory < 0)
		return err_sys(err, "open log", "%s", directory);
	log->number = newest_number(log->directory);
	if (log->number == 0)
		log->number = 1;
	log->file = open_number(log, O_CREAT | O_APPEND);
	if (log->file < 0 || fstat(log->file, &info) < 0)
		return err_sys(err, "open log", "file %llu", (unsigned long long)log->number);
	log->size = (uint64_t)info.st_size;
	if (!ends_whole(log->directory, log->number, log->size)) {
		close(log->file);
		log->number++;
		log->size = 0;
		log->file = open_number(log, O_CREAT | O_APPEND | O_EXCL);
		if (log->file < 0)
			return err_sys(err, "open log", "file %llu", (unsigned long long)log->number);
	}
	return 0;
}

static void rotate(struct log *log)
{
	char name[24];

	log->number++;
	int next = open_number(log, O_CREAT | O_APPEND);
	if (next < 0) {
		log->number--;
		return;
	}
	close(log->file);
	log->file = next;
	log->size = 0;
	/* One file is dropped at each rotation; more only when the limit became smaller. */
	for (uint64_t old = log->number; old-- > 1;) {
		if (log->number - old < log->max_files)
			continue;
		snprintf(name, sizeof(name), "%llu", (unsigned long long)old);
		if (unlinkat(log->directory, name, 0) < 0)
			break;
	}
}

void log_write(struct log *log, uint8_t stream, const void *bytes, size_t length)
{
	unsigned char header[HEADER];
	uint32_t size = (uint32_t)length;
	uint64_t time = now_realtime_ns();
	size_t total = HEADER + length + TRAILER;

	if (log->size > 0 && log->size + total > log->max_bytes)
		rotate(log);
	memcpy(header, &size, 4);
	header[4] = stream;
	memcpy(header + 5, &time, 8);
	struct iovec parts[] = { { header, HEADER }, { (void *)(uintptr_t)bytes, length }, { &size, TRAILER } };
	ssize_t written;
	do
		written = writev(log->file, parts, 3);
	while (written < 0 && errno == EINTR);
	if (written == (ssize_t)total) {
		log->size += total;
		return;
	}
	log->lost_bytes += length;
	/* When even this fails, readers stop at the torn record and the next start begins a new file. */
	if (written > 0 && ftruncate(log->file, (off_t)log->size) < 0)
		log->size += (uint64_t)written;
}

void log_close(struct log *log)
{
	if (log->file >= 0)
		close(log->file);
	if (log->directory >= 0)
		close(log->directory);
	log->file = log->directory = -1;
}
