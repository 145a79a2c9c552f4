#ifndef ATOLL_EXTRACT_FILE_H
#define ATOLL_EXTRACT_FILE_H

#include "extract-state.h"

/* True when the file needs no chmod after it was opened. */
int extract_has_mode(const struct extract_state *state, const struct tar_entry *entry);

/* A new file; mostly nothing is in the way, so that is looked for only when there is: -1 with EEXIST. */
int extract_open_new(const struct extract_state *state, const struct tar_entry *entry);

/* Fills the new file with the member's data. The same descriptor, or -1 and it is closed. */
int extract_write_file(struct extract_state *state, const struct tar_entry *entry, int file, struct err *err);

/* Goes on with the file that the members before, or an earlier copy, have begun. Its descriptor. */
int extract_continue_file(struct extract_state *state, const struct tar_entry *entry, struct err *err);

#endif
