#ifndef ATOLL_PACK_H
#define ATOLL_PACK_H

#include "err.h"
#include "tar-write.h"

/*
 * Writes the tree `name` below `parent` (".": the folder itself) as members under `prefix`, sorted by name, hard links
 * kept. With `overlay`, whiteouts and opaque marks become an image layer's `.wh.` members, and the
 * folder itself gets no member; overlay's attributes are never written. Sockets are left out, as by Docker.
 */
int pack(struct tar_writer *writer, int parent, const char *name, const char *prefix, int overlay, struct err *err);

struct name_list {
	char **names;
	size_t count;
};

/* Names of a folder in byte order, without "." and "..". Free with names_free. */
int names_read(int folder, struct name_list *list, struct err *err);
void names_free(struct name_list *list);

#endif
