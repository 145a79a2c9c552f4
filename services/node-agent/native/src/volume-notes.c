#include "volume-notes.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char STEP[] = "note files";

enum { SETTLED_SECONDS = 2 };

struct fixed {
	uint64_t inode, size;
	int64_t ctime;
	uint32_t ctime_ns, path_length;
};

int volume_notes_create(struct volume_notes *notes, const char *path, struct err *err)
{
	*notes = (struct volume_notes){ .file = fopen(path, "wxe") };
	return notes->file ? 0 : err_sys(err, STEP, "%s", path);
}

int volume_notes_close(struct volume_notes *notes, struct err *err)
{
	int failed = ferror(notes->file);

	return fclose(notes->file) != 0 || failed ? err_sys(err, STEP, "write") : 0;
}

int volume_note(struct volume_notes *notes, const struct stat *info, const char *path, struct err *err)
{
	struct fixed fixed = {
		.inode = info->st_ino,
		.size = (uint64_t)info->st_size,
		.ctime = info->st_ctim.tv_sec,
		.ctime_ns = (uint32_t)info->st_ctim.tv_nsec,
		.path_length = (uint32_t)strlen(path),
	};
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (info->st_ctim.tv_sec + SETTLED_SECONDS >= now.tv_sec)
		return 0;
	if (fwrite(&fixed, sizeof(fixed), 1, notes->file) != 1 || fwrite(path, 1, fixed.path_length, notes->file) != fixed.path_length)
		return err_sys(err, STEP, "write");
	return 0;
}

static int by_inode(const void *a, const void *b)
{
	uint64_t one = ((const struct volume_note *)a)->inode, other = ((const struct volume_note *)b)->inode;

	return one < other ? -1 : one > other;
}

static int append(struct volume_notes *notes, const struct fixed *fixed, FILE *file, struct err *err)
{
	if ((notes->count & (notes->count - 1)) == 0) {
		struct volume_note *grown = realloc(notes->notes, (notes->count ? notes->count * 2 : 1) * sizeof(*grown));

		if (!grown)
			return err_set(err, ENOMEM, STEP, "out of memory");
		notes->notes = grown;
	}
	if (fixed->path_length >= PATH_MAX)
		return err_set(err, EBADMSG, STEP, "the notes of the first copy are damaged");
	char *path = calloc(1, fixed->path_length + 1);
	if (!path)
		return err_set(err, ENOMEM, STEP, "out of memory");
	notes->notes[notes->count++] = (struct volume_note){ fixed->inode, fixed->size, fixed->ctime, fixed->ctime_ns, fixed->path_length, path };
	if (fread(path, 1, fixed->path_length, file) != fixed->path_length)
		return err_set(err, EBADMSG, STEP, "the notes of the first copy are cut off");
	return 0;
}

int volume_notes_read(struct volume_notes *notes, const char *path, struct err *err)
{
	FILE *file = fopen(path, "re");
	struct fixed fixed;
	int result = 0;

	*notes = (struct volume_notes){ 0 };
	if (!file)
		return err_sys(err, STEP, "%s", path);
	while (result == 0 && fread(&fixed, sizeof(fixed), 1, file) == 1)
		result = append(notes, &fixed, file, err);
	fclose(file);
	if (result == 0 && notes->count > 1)
		qsort(notes->notes, notes->count, sizeof(*notes->notes), by_inode);
	return result;
}

const char *volume_notes_find(const struct volume_notes *notes, const struct stat *info)
{
	struct volume_note wanted = { .inode = info->st_ino };
	const struct volume_note *note = notes->count == 0 ? NULL
		: bsearch(&wanted, notes->notes, notes->count, sizeof(wanted), by_inode);

	if (!note || note->size != (uint64_t)info->st_size || note->ctime != info->st_ctim.tv_sec ||
	    note->ctime_ns != (uint32_t)info->st_ctim.tv_nsec)
		return NULL;
	return note->path;
}

int volume_keeps_xattr(const char *name)
{
	return strncmp(name, "user.", 5) == 0 || strncmp(name, "trusted.", 8) == 0 || strcmp(name, "security.capability") == 0 ||
	       strcmp(name, "system.posix_acl_access") == 0 || strcmp(name, "system.posix_acl_default") == 0;
}
