#ifndef ATOLL_PACK_H
#define ATOLL_PACK_H

#include "err.h"
#include "tar-write.h"
#include "volume-notes.h"

/* Member of a copy between hosts: `sha256:` and the digest of all bytes before its header. */
#define VOLUME_CHECKPOINT "atoll-checkpoint"

struct pack_options {
	int overlay;                       /* an image layer: whiteouts and opaque marks become its `.wh.` members, the folder itself gets none */
	int volume;                        /* all that a file has: parts of seconds, holes, ACLs and attributes of root */
	const char *prefix;                /* of the members' names */
	const struct volume_notes *notes;  /* NULL, or for a copy between hosts: members have notes, what the reader has is left out, digests come between */
	int by_reference;                  /* all files are written as references to themselves */
};

/*
 * Writes the tree `name` below `parent` (".": the folder itself) as members under the prefix, sorted by name, hard links
 * kept. Overlay's own attributes are written with `volume` only. Sockets are left out, as by Docker.
 */
int pack(struct tar_writer *writer, int parent, const char *name, const struct pack_options *options, struct err *err);

struct name_list {
	char **names;
	size_t count;
};

/* Names of a folder in byte order, without "." and "..". Free with names_free. */
int names_read(int folder, struct name_list *list, struct err *err);
void names_free(struct name_list *list);

#endif
