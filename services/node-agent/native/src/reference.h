#ifndef ATOLL_REFERENCE_H
#define ATOLL_REFERENCE_H

#include "err.h"
#include "tar-read.h"

/* Gives the file of the earlier copy a further name in the new one. Its metadata is what it was. */
int reference_link(int base, const struct tar_entry *entry, int parent, const char *name, struct err *err);

/* Content of the file of the earlier copy into the empty file: shared with it where the file system can, holes kept. */
int reference_copy(int base, const struct tar_entry *entry, int file, struct err *err);

#endif
