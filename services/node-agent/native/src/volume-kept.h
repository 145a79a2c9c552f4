#ifndef ATOLL_VOLUME_KEPT_H
#define ATOLL_VOLUME_KEPT_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "tar-read.h"

/*
 * Files of a copy between hosts, for the next one to begin with, should this one be cut: further names of them in a folder of their
 * own, each its note and how many bytes of the file are there and verified.
 */
struct volume_kept {
	int folder;
	struct kept_file *known; /* what was there at the begin, sorted */
	size_t known_count;
	struct kept_piece *pending; /* received, not yet verified */
	size_t pending_count;
};

/* Waits for an earlier copy into the folder to end, and removes what that has not verified. */
int volume_kept_open(struct volume_kept *kept, const char *path, struct err *err);

/* A file, or a piece of one, is written and has all its metadata. Older versions of it are dropped. */
int volume_kept_add(struct volume_kept *kept, const struct tar_entry *entry, int parent, const char *name, struct err *err);

/* The digest of all that was received up to here is right. */
int volume_kept_verified(struct volume_kept *kept, struct err *err);
void volume_kept_close(struct volume_kept *kept);

#endif
