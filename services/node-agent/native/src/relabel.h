#ifndef ATOLL_RELABEL_H
#define ATOLL_RELABEL_H

#include "err.h"

/* When files get the SELinux label: always, or only while the folder itself has another. */
enum relabel { RELABEL_NOT, RELABEL_ALWAYS, RELABEL_ONCE, RELABEL_KINDS };

/*
 * Gives a file, or a folder with all below it on the same mount, the label; the folder itself last. Links are labelled themselves and not
 * followed; `exact`: nor are links in the path. A file system that knows no labels is left as it is.
 */
int relabel_tree(const char *path, int exact, const char *label, enum relabel when, struct err *err);

/* One object behind a descriptor, which may be of O_PATH. -1 with errno. */
int relabel_one(int fd, const char *label);

#endif
