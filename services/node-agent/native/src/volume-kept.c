#include "volume-kept.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "io.h"
#include "volume-notes.h"

static const char STEP[] = "keep files";
static const char UNVERIFIED[] = ".new";

/* A sender verifies far more often. */
enum { MAX_PENDING = 16 * 1024, NAME = NOTE_TEXT + 24 };

/* The note first: it is what they are sorted by. */
struct kept_file {
	struct volume_note note;
	char boot[NOTE_BOOT + 1];
};

struct kept_piece {
	char note[NOTE_TEXT];
	uint64_t at, end;
};

static void name_of(char *out, const char *note, uint64_t received, const char *suffix)
{
	snprintf(out, NAME, "%s-%llx%s", note, (unsigned long long)received, suffix);
}

static int remember(struct volume_kept *kept, const char *name, struct err *err)
{
	struct kept_file file;

	/* Not verified, or none of ours. */
	if (volume_note_parse(name, 1, file.boot, &file.note) < 0)
		return unlinkat(kept->folder, name, 0) < 0 ? err_sys(err, STEP, "remove %s", name) : 0;
	if ((kept->known_count & (kept->known_count - 1)) == 0) {
		struct kept_file *grown = realloc(kept->known, (kept->known_count ? kept->known_count * 2 : 1) * sizeof(*grown));

		if (!grown)
			return err_set(err, ENOMEM, STEP, "out of memory");
		kept->known = grown;
	}
	kept->known[kept->known_count++] = file;
	return 0;
}

int volume_kept_open(struct volume_kept *kept, const char *path, struct err *err)
{
	struct dirent *item;
	int result = 0;

	*kept = (struct volume_kept){ .folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
	if (kept->folder < 0 || flock(kept->folder, LOCK_EX) < 0)
		return err_sys(err, STEP, "%s", path);
	kept->pending = calloc(MAX_PENDING, sizeof(*kept->pending));
	int listed = fcntl(kept->folder, F_DUPFD_CLOEXEC, 3);
	DIR *folder = listed < 0 ? NULL : fdopendir(listed);
	if (!kept->pending || !folder)
		return err_sys(err, STEP, "list %s", path);
	while (result == 0 && (errno = 0, item = readdir(folder)))
		if (item->d_name[0] != '.')
			result = remember(kept, item->d_name, err);
	if (result == 0 && errno != 0)
		result = err_sys(err, STEP, "list %s", path);
	closedir(folder);
	if (result == 0 && kept->known_count > 1)
		qsort(kept->known, kept->known_count, sizeof(*kept->known), volume_note_order);
	return result;
}

/* The file is sent whole: what is there of it, in whatever version, serves nobody any more. */
static int drop_older(struct volume_kept *kept, const struct volume_note *note, struct err *err)
{
	const struct kept_file *found = kept->known_count == 0 ? NULL
		: bsearch(note, kept->known, kept->known_count, sizeof(*found), volume_note_order);
	char name[NAME], text[NOTE_TEXT];

	if (!found)
		return 0;
	while (found > kept->known && volume_note_order(found - 1, note) == 0)
		found--;
	for (; found < kept->known + kept->known_count && volume_note_order(found, note) == 0; found++) {
		volume_note_write(found->boot, &found->note, text);
		name_of(name, text, found->note.received, "");
		if (unlinkat(kept->folder, name, 0) < 0 && errno != ENOENT)
			return err_sys(err, STEP, "remove %s", name);
	}
	return 0;
}

int volume_kept_add(struct volume_kept *kept, const struct tar_entry *entry, int parent, const char *name, struct err *err)
{
	char boot[NOTE_BOOT + 1], first[NAME];
	struct volume_note note;

	if (entry->note[0] == '\0' || (entry->base[0] && entry->at == 0))
		return 0;
	if (volume_note_parse(entry->note, 0, boot, &note) < 0)
		return err_set(err, EBADMSG, STEP, "malformed archive: the note of %s", entry->path);
	if (kept->pending_count == MAX_PENDING)
		return err_set(err, EBADMSG, STEP, "malformed archive: more than %d files without a checkpoint", MAX_PENDING);
	struct kept_piece *piece = &kept->pending[kept->pending_count++];
	*piece = (struct kept_piece){ .at = entry->at, .end = entry->sparse ? entry->real_size : entry->at + entry->size };
	snprintf(piece->note, sizeof(piece->note), "%s", entry->note);
	if (entry->at > 0)
		return 0;
	if (drop_older(kept, &note, err) < 0)
		return -1;
	name_of(first, piece->note, piece->end, UNVERIFIED);
	return linkat(parent, name, kept->folder, first, 0) < 0 ? err_sys(err, STEP, "%s", entry->path) : 0;
}

int volume_kept_verified(struct volume_kept *kept, struct err *err)
{
	char from[NAME], to[NAME];

	for (size_t index = 0; index < kept->pending_count; index++) {
		const struct kept_piece *piece = &kept->pending[index];

		if (piece->at > 0)
			name_of(from, piece->note, piece->at, "");
		else
			name_of(from, piece->note, piece->end, UNVERIFIED);
		name_of(to, piece->note, piece->end, "");
		if (renameat(kept->folder, from, kept->folder, to) < 0)
			return err_sys(err, STEP, "%s", to);
	}
	kept->pending_count = 0;
	return 0;
}

void volume_kept_close(struct volume_kept *kept)
{
	free(kept->known);
	free(kept->pending);
	if (kept->folder >= 0)
		close(kept->folder);
}
