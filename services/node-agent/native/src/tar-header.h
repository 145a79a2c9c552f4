#ifndef ATOLL_TAR_HEADER_H
#define ATOLL_TAR_HEADER_H

#include "err.h"
#include "tar-read.h"

/* Fields that an extended header has set: the plain header's are then ignored. */
struct overrides {
	int path, link, size, uid, gid, mtime;
	int volume; /* in: what only archives of volumes have is understood */
	int sparse; /* bits of what was said of a sparse file */
};

enum { SPARSE_MAJOR = 1, SPARSE_MINOR = 2, SPARSE_NAME = 4, SPARSE_SIZE = 8, SPARSE_COMPLETE = 15 };

int tar_bad(struct err *err, const char *what);
int tar_is_zero(const uint8_t *block);
int tar_checksum_fits(const uint8_t *block);

/* Octal text, or base 256 when the first byte's top bit is set. Negative numbers only for `is_signed`. */
int tar_number(const uint8_t *field, size_t size, int is_signed, int64_t *value);

/* Copies a name into PATH_MAX bytes; -1 for one that is too long or holds a zero byte. */
int tar_set_text(char *out, const uint8_t *text, size_t length, struct err *err);

/* "<length> <key>=<value>\n" …; the bytes are changed in place to end the keys, and must live as long as the entry. */
int tar_pax_header(uint8_t *bytes, size_t size, struct tar_entry *entry, struct overrides *over, struct err *err);

/* Fills in the entry from a member's header block, but for what was overridden. */
int tar_header_fields(const uint8_t *block, struct tar_entry *entry, const struct overrides *over, struct err *err);

#endif
