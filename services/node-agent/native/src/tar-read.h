#ifndef ATOLL_TAR_READ_H
#define ATOLL_TAR_READ_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "sha256.h"

enum { TAR_BLOCK = 512, TAR_MAX_EXTENSION = 2 << 20, TAR_MAX_XATTRS = 64, TAR_BUFFER = 256 * 1024 };

struct tar_xattr {
	const char *name;
	const uint8_t *value;
	size_t length;
};

/* One member. Texts live until the next call of tar_next. */
struct tar_entry {
	char type; /* '0' file, '1' hard link, '2' symbolic link, '3' '4' devices, '5' folder, '6' FIFO */
	char path[PATH_MAX];
	char link[PATH_MAX];
	uint64_t size;
	uint32_t mode;
	uint64_t uid, gid;
	int64_t mtime;
	uint32_t mtime_ns;
	uint32_t major, minor;
	struct tar_xattr xattrs[TAR_MAX_XATTRS];
	size_t xattr_count;
	int sparse;            /* its data begins with a map of what is no hole: GNU's pax format 1.0 */
	uint64_t real_size;    /* of a sparse file, with its holes */
	char base[PATH_MAX];   /* not empty: the content, up to `at` if that is not 0, is that of this file of an earlier copy */
	uint64_t at;           /* not 0: data begins here in the file; what is before is there already */
	char note[160];        /* what identifies the file's content where it comes from; may be empty */
};

struct tar_reader {
	int fd;
	struct sha256 hash;     /* of everything read, when `hashing` */
	int hashing;
	size_t hashed;          /* bytes of the buffer that are in the hash */
	int volume;             /* sparse files and references to an earlier copy are understood */
	struct sha256 before;   /* with `volume`: of everything before the present member's first header */
	uint8_t *buffer;
	size_t at, end;
	uint64_t left, padding; /* of the current member's data */
	uint8_t *extension;     /* bytes of the pax header in force */
};

int tar_open(struct tar_reader *reader, int fd, int hashing, struct err *err);
/* 1 with a member, 0 at the archive's end. ustar, pax and GNU long names; unknown types are errors, and so are sparse files without `volume`. */
int tar_next(struct tar_reader *reader, struct tar_entry *entry, struct err *err);
/* Bytes of the member's data, at most `size`; 0 at its end. Points into the reader's buffer. */
long tar_data(struct tar_reader *reader, const uint8_t **bytes, size_t size, struct err *err);
/* Reads (and hashes) what follows the end mark. */
int tar_drain(struct tar_reader *reader, struct err *err);
void tar_close(struct tar_reader *reader);

#endif
