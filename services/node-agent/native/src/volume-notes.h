#ifndef ATOLL_VOLUME_NOTES_H
#define ATOLL_VOLUME_NOTES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "err.h"

/* What identifies a file's content while it is copied for the first time: as long as all of it is the same, nothing was written. */
struct volume_note {
	uint64_t inode, size;
	int64_t ctime;
	uint32_t ctime_ns, path_length;
	char *path; /* in the earlier copy */
};

struct volume_notes {
	FILE *file; /* being written */
	struct volume_note *notes;
	size_t count;
};

int volume_notes_create(struct volume_notes *notes, const char *path, struct err *err);
int volume_notes_close(struct volume_notes *notes, struct err *err);

/*
 * Notes a file that is about to be read. One that was changed within the last two seconds is not: another change could leave it with
 * the same time.
 */
int volume_note(struct volume_notes *notes, const struct stat *info, const char *path, struct err *err);

/* Reads notes, about 150 bytes of memory a file. */
int volume_notes_read(struct volume_notes *notes, const char *path, struct err *err);

/* Path of an unchanged file in the earlier copy, or NULL. */
const char *volume_notes_find(const struct volume_notes *notes, const struct stat *info);

/* Attributes that belong to a volume's files: users', ACLs, capabilities, and root's `trusted.` (overlays that containers make). */
int volume_keeps_xattr(const char *name);

#endif
