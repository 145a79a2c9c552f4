#include "volume-notes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io.h"

static const char STEP[] = "note files";

enum { SETTLED_SECONDS = 2 };

int volume_notes_open(struct volume_notes *notes, struct err *err)
{
	size_t length, used = 0;
	CLEANUP_FREE char *id = read_file_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &length);

	*notes = (struct volume_notes){ 0 };
	if (!id)
		return err_sys(err, STEP, "read the boot id");
	for (size_t index = 0; index < length && used < NOTE_BOOT; index++)
		if (strchr("0123456789abcdef", id[index]))
			notes->boot[used++] = id[index];
	return used == NOTE_BOOT ? 0 : err_set(err, EBADMSG, STEP, "the boot id has not 32 digits");
}

void volume_notes_free(struct volume_notes *notes)
{
	free(notes->notes);
	notes->notes = NULL;
	notes->count = 0;
}

static int number(const char **text, char end, uint64_t *value)
{
	int digits = 0;

	for (*value = 0; **text && strchr("0123456789abcdef", **text); ++*text, digits++)
		*value = *value << 4 | (uint64_t)(**text <= '9' ? **text - '0' : **text - 'a' + 10);
	if (digits == 0 || digits > 16 || **text != end)
		return -1;
	*text += end != '\0';
	return 0;
}

int volume_note_parse(const char *text, int is_received, char *boot, struct volume_note *note)
{
	if (strspn(text, "0123456789abcdef") != NOTE_BOOT || text[NOTE_BOOT] != '-')
		return -1;
	memcpy(boot, text, NOTE_BOOT);
	boot[NOTE_BOOT] = '\0';
	text += NOTE_BOOT + 1;
	note->received = 0;
	if (number(&text, '-', &note->device) < 0 || number(&text, '-', &note->inode) < 0 || number(&text, '-', &note->size) < 0 ||
	    number(&text, '-', &note->ctime) < 0 || number(&text, is_received ? '-' : '\0', &note->ctime_ns) < 0)
		return -1;
	return is_received ? number(&text, '\0', &note->received) : 0;
}

void volume_note_write(const char *boot, const struct volume_note *note, char *text)
{
	snprintf(text, NOTE_TEXT, "%s-%llx-%llx-%llx-%llx-%llx", boot, (unsigned long long)note->device, (unsigned long long)note->inode,
		 (unsigned long long)note->size, (unsigned long long)note->ctime, (unsigned long long)note->ctime_ns);
}

int volume_note_text(const struct volume_notes *notes, const struct stat *info, char *text)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (info->st_ctim.tv_sec + SETTLED_SECONDS >= now.tv_sec)
		return 0;
	struct volume_note note = {
		.device = info->st_dev,
		.inode = info->st_ino,
		.size = (uint64_t)info->st_size,
		.ctime = (uint64_t)info->st_ctim.tv_sec,
		.ctime_ns = (uint64_t)info->st_ctim.tv_nsec,
	};
	volume_note_write(notes->boot, &note, text);
	return 1;
}

int volume_note_order(const void *a, const void *b)
{
	const struct volume_note *one = a, *other = b;

	if (one->inode != other->inode)
		return one->inode < other->inode ? -1 : 1;
	return one->device < other->device ? -1 : one->device > other->device;
}

static int append(struct volume_notes *notes, const struct volume_note *note, struct err *err)
{
	if ((notes->count & (notes->count - 1)) == 0) {
		struct volume_note *grown = realloc(notes->notes, (notes->count ? notes->count * 2 : 1) * sizeof(*grown));

		if (!grown)
			return err_set(err, ENOMEM, STEP, "out of memory");
		notes->notes = grown;
	}
	notes->notes[notes->count++] = *note;
	return 0;
}

int volume_notes_read(struct volume_notes *notes, const char *path, struct err *err)
{
	char line[2 * NOTE_TEXT], boot[NOTE_BOOT + 1];
	FILE *file = fopen(path, "re");
	struct volume_note note;
	int result = 0;

	if (!file)
		return err_sys(err, STEP, "%s", path);
	while (result == 0 && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (volume_note_parse(line, 1, boot, &note) < 0)
			result = err_set(err, EBADMSG, STEP, "\"%.60s\" is no note", line);
		else if (strcmp(boot, notes->boot) == 0)
			result = append(notes, &note, err);
	}
	if (result == 0 && ferror(file))
		result = err_sys(err, STEP, "%s", path);
	fclose(file);
	if (result == 0 && notes->count > 1)
		qsort(notes->notes, notes->count, sizeof(*notes->notes), volume_note_order);
	return result;
}

const struct volume_note *volume_notes_find(const struct volume_notes *notes, const struct stat *info)
{
	struct volume_note wanted = { .inode = info->st_ino, .device = info->st_dev };
	const struct volume_note *note = notes->count == 0 ? NULL
		: bsearch(&wanted, notes->notes, notes->count, sizeof(wanted), volume_note_order);

	if (!note || note->size != (uint64_t)info->st_size || note->ctime != (uint64_t)info->st_ctim.tv_sec ||
	    note->ctime_ns != (uint64_t)info->st_ctim.tv_nsec || note->received > note->size)
		return NULL;
	return note;
}

int volume_keeps_xattr(const char *name)
{
	return strncmp(name, "user.", 5) == 0 || strncmp(name, "trusted.", 8) == 0 || strcmp(name, "security.capability") == 0 ||
	       strcmp(name, "system.posix_acl_access") == 0 || strcmp(name, "system.posix_acl_default") == 0;
}
