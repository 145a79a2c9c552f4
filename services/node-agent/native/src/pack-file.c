#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "pack-walk.h"

static const char STEP[] = "pack";

/* What a cut between hosts costs: so much is sent again. */
enum { PIECE = 32 << 20, FILES = 4096 };

static int write_data(struct walk *walk, int file, uint64_t left, struct err *err)
{

	while (left > 0) {
		ssize_t count = read(file, walk->copy, left < sizeof(walk->copy) ? (size_t)left : sizeof(walk->copy));

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return err_sys(err, STEP, "%s: read", walk->entry.path);
		/* A file that shrinks meanwhile is filled up, so that the archive stays whole. */
		if (count == 0) {
			count = (ssize_t)(left < sizeof(walk->copy) ? left : sizeof(walk->copy));
			memset(walk->copy, 0, (size_t)count);
		}
		if (tar_write_bytes(walk->writer, walk->copy, (size_t)count, err) < 0)
			return -1;
		left -= (uint64_t)count;
	}
	return 0;
}

/* The map of what is no hole, and that. */
static int write_sparse(struct walk *walk, int file, uint64_t end, struct err *err)
{
	CLEANUP_FREE char *text = NULL;
	size_t length = sparse_text(&walk->map, &text);

	if (length == 0)
		return err_set(err, ENOMEM, STEP, "out of memory");
	walk->entry.sparse = 1;
	walk->entry.real_size = end;
	walk->entry.size = length;
	for (size_t index = 0; index < walk->map.count; index++)
		walk->entry.size += walk->map.pieces[index].length;
	if (tar_write_header(walk->writer, &walk->entry, err) < 0 || tar_write_bytes(walk->writer, text, length, err) < 0)
		return -1;
	for (size_t index = 0; index < walk->map.count; index++) {
		if (lseek(file, (off_t)walk->map.pieces[index].at, SEEK_SET) < 0)
			return err_sys(err, STEP, "%s: seek", walk->entry.path);
		if (write_data(walk, file, walk->map.pieces[index].length, err) < 0)
			return -1;
	}
	return tar_write_padding(walk->writer, walk->entry.size, err);
}

static int write_piece(struct walk *walk, int file, const struct stat *info, uint64_t at, uint64_t end, struct err *err)
{
	walk->entry.at = at;
	walk->entry.sparse = 0;
	if (walk->options->volume && sparse_find(file, info, at, end, &walk->map))
		return write_sparse(walk, file, end, err);
	walk->entry.size = end - at;
	if (lseek(file, (off_t)at, SEEK_SET) < 0)
		return err_sys(err, STEP, "%s: seek", walk->entry.path);
	if (tar_write_header(walk->writer, &walk->entry, err) < 0 || write_data(walk, file, walk->entry.size, err) < 0)
		return -1;
	return tar_write_padding(walk->writer, walk->entry.size, err);
}

/* The digest of all that was written up to here: what a reader has is verified, and worth keeping should it be cut off later. */
static int write_checkpoint(struct walk *walk, struct err *err)
{
	static struct tar_entry entry;
	char text[7 + 64 + 2] = "sha256:";

	if (tar_write_flush(walk->writer, err) < 0)
		return -1;
	struct sha256 hash = walk->writer->hash;
	sha256_finish(&hash, text + 7);
	strcat(text, "\n");
	entry = (struct tar_entry){ .type = '0', .path = VOLUME_CHECKPOINT, .mode = 0600, .size = strlen(text) };
	if (tar_write_header(walk->writer, &entry, err) < 0 || tar_write_bytes(walk->writer, text, entry.size, err) < 0 ||
	    tar_write_padding(walk->writer, entry.size, err) < 0)
		return -1;
	walk->checked = walk->writer->written + walk->writer->used;
	walk->unchecked = 0;
	return 0;
}

static int is_due(const struct walk *walk)
{
	return walk->unchecked >= FILES || walk->writer->written + walk->writer->used - walk->checked >= PIECE;
}

/* Its path below the volume's root. */
static const char *below_root(const struct walk *walk)
{
	const char *path = walk->entry.path + strlen(walk->options->prefix);

	return path + (*path == '/');
}

static int write_noted(struct walk *walk, int file, const struct stat *info, struct err *err)
{
	struct tar_entry *entry = &walk->entry;
	const struct volume_note *known = volume_notes_find(walk->options->notes, info);
	uint64_t size = entry->size, at = known ? known->received : 0;

	if (known)
		snprintf(entry->base, sizeof(entry->base), "%s-%llx", entry->note, (unsigned long long)at);
	if (known && at == size) {
		entry->size = 0;
		return tar_write_header(walk->writer, entry, err);
	}
	if (at == 0)
		entry->base[0] = '\0';
	do {
		uint64_t end = size - at > PIECE ? at + PIECE : size;

		walk->unchecked++;
		if (write_piece(walk, file, info, at, end, err) < 0 || ((end < size || is_due(walk)) && write_checkpoint(walk, err) < 0))
			return -1;
		at = end;
		entry->base[0] = '\0';
	} while (at < size);
	return 0;
}

int pack_file(struct walk *walk, int file, const struct stat *info, struct err *err)
{
	const struct pack_options *options = walk->options;
	struct tar_entry *entry = &walk->entry;

	if (options->by_reference) {
		entry->size = 0;
		snprintf(entry->base, sizeof(entry->base), "%s", below_root(walk));
		return tar_write_header(walk->writer, entry, err);
	}
	if (options->notes && volume_note_text(options->notes, info, entry->note))
		return write_noted(walk, file, info, err);
	return write_piece(walk, file, info, 0, entry->size, err);
}
