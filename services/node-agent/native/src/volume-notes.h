#ifndef ATOLL_VOLUME_NOTES_H
#define ATOLL_VOLUME_NOTES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "err.h"

enum { NOTE_BOOT = 32, NOTE_TEXT = 160 };

/*
 * What identifies a file's content on its host: as long as all of it is the same, nothing was written. As text
 * "<boot id>-<device>-<inode>-<size>-<change time>-<its nanoseconds>", hexadecimal; after another start of the host nothing fits.
 */
struct volume_note {
	uint64_t device, inode, size, ctime, ctime_ns;
	uint64_t received; /* bytes of it, from its begin, that the other side has */
};

struct volume_notes {
	char boot[NOTE_BOOT + 1];
	struct volume_note *notes; /* sorted by inode and device */
	size_t count;
};

/* Begins with none. */
int volume_notes_open(struct volume_notes *notes, struct err *err);

/* Adds what a file has, one note a line, each followed by "-<bytes received>"; those of another start of the host are left out. */
int volume_notes_read(struct volume_notes *notes, const char *path, struct err *err);
void volume_notes_free(struct volume_notes *notes);

/*
 * Text of a file that is about to be read (NOTE_TEXT bytes). 0 for one that was changed within the last two seconds: another change
 * could leave it with the same time.
 */
int volume_note_text(const struct volume_notes *notes, const struct stat *info, char *text);

/* The note that fits the file, or NULL. */
const struct volume_note *volume_notes_find(const struct volume_notes *notes, const struct stat *info);

/* Reads a note's text; with `is_received` it ends with the number of bytes received. -1 for anything else. */
int volume_note_parse(const char *text, int is_received, char *boot, struct volume_note *note);

/* The text of a note, NOTE_TEXT bytes, without what was received. */
void volume_note_write(const char *boot, const struct volume_note *note, char *text);

/* Order by inode and device, for qsort and bsearch. */
int volume_note_order(const void *a, const void *b);

/* Attributes that belong to a volume's files: users', ACLs, capabilities, and root's `trusted.` (overlays that containers make). */
int volume_keeps_xattr(const char *name);

#endif
