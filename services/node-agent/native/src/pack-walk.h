#ifndef ATOLL_PACK_WALK_H
#define ATOLL_PACK_WALK_H

#include <sys/stat.h>
#include <sys/types.h>

#include "pack.h"
#include "sparse.h"

enum { XATTR_BYTES = 64 * 1024 };

/* First name of an inode with several links. */
struct link {
	dev_t device;
	ino_t inode;
	char *path;
};

struct walk {
	struct tar_writer *writer;
	const struct pack_options *options;
	struct sparse_map map;
	struct link *links;
	size_t link_count;
	struct tar_entry entry;
	uint64_t checked;   /* bytes of the archive before the last checkpoint */
	size_t unchecked;   /* files since */
	char xattr_names[XATTR_BYTES];
	uint8_t xattr_values[XATTR_BYTES];
	uint8_t copy[64 * 1024];
};

/* Writes the regular file that `entry` describes, whole, in pieces, or as a reference to what the reader has of it. */
int pack_file(struct walk *walk, int file, const struct stat *info, struct err *err);

#endif
