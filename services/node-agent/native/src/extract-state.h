#ifndef ATOLL_EXTRACT_STATE_H
#define ATOLL_EXTRACT_STATE_H

#include <limits.h>
#include <sys/types.h>
#include <time.h>

#include "extract.h"

/* A folder's time is set last: what is put into it changes it. */
struct folder_time {
	char *path;
	struct timespec time;
};

struct extract_state {
	const struct extract_options *options;
	struct tar_reader *reader;
	int parent;                 /* folder of the member at hand */
	char name[NAME_MAX + 1];    /* its last component, or "." for the base itself */
	char cached[2 * PATH_MAX];  /* path that `parent` was opened by */
	int stale;                  /* links may have changed since: open it anew for the next member */
	int make_opaque;
	int knows_owner;            /* of what is made in `parent`, before a change of owner */
	uid_t made_uid;
	gid_t made_gid;
	int exact_modes;            /* a file has the mode it is opened with: no umask, no default ACL in any folder */
	struct folder_time *times;
	size_t time_count;
};

/* Path below the root for a cleaned member name. `out` holds 2 * PATH_MAX. */
void extract_full_path(const struct extract_state *state, const char *name, char *out);

/* Opens the member's folder (made when missing). 1: it was a whiteout and is done. */
int extract_locate(struct extract_state *state, struct tar_entry *entry, struct err *err);

int extract_remember_time(struct extract_state *state, const struct tar_entry *entry, struct err *err);
int extract_apply_times(struct extract_state *state, struct err *err);
void extract_state_free(struct extract_state *state);

#endif
