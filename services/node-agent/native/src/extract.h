#ifndef ATOLL_EXTRACT_H
#define ATOLL_EXTRACT_H

#include <stdint.h>

#include "err.h"
#include "tar-read.h"

struct extract_options {
	int root;                  /* descriptor that is "/" for all links met on the way */
	const char *base;          /* folder below the root that member names are relative to; "" for the root */
	int whiteouts;             /* an image layer: whiteouts become overlay's, overlay's own marks are refused or dropped */
	int keep_kinds;            /* refuse to replace a folder by another kind or the other way round (Docker's noOverwriteDirNonDir) */
	int chown;                 /* everything gets uid and gid */
	uint32_t uid, gid;
	const char *rename_top;    /* first component of all names becomes this */
	uint64_t max_bytes, max_entries;
	int volume;                /* a volume's files: device 0:0 and root's attributes are theirs too, other attributes are refused */
	int earlier;               /* with `volume`: descriptor of an earlier copy that references are found in, or -1 */
	int copy_earlier;          /* referenced files are copied (shared where the file system can), not linked */
	/* NULL, or sees each member first. 1: it was taken and is done; 0: unpack it; -1: failed. */
	int (*filter)(struct tar_reader *reader, const struct tar_entry *entry, void *context, struct err *err);
	/* NULL, or sees each file once it is written; it may then be sent in pieces. */
	int (*received)(const struct tar_entry *entry, int parent, const char *name, void *context, struct err *err);
	void *context;
};

struct extract_totals {
	uint64_t bytes, entries;
};

/*
 * Unpacks all members. Every path is resolved below the root by descriptor; metadata is set on
 * descriptors or with "no follow"; what is in the way is removed, never followed.
 */
int extract(struct tar_reader *reader, const struct extract_options *options, struct extract_totals *totals, struct err *err);

/* Removes the tree `name` below `parent` without following links. Missing is fine. */
int remove_tree(int parent, const char *name);

/*
 * Lexical cleaning of a member's name into `out` (PATH_MAX): no empty, "." or ".." components, no
 * leading or trailing slash. -1 when it climbs above its start.
 */
int clean_name(const char *name, char *out);

#endif
