#include "extract-file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "reference.h"
#include "sparse.h"

static const char STEP[] = "unpack";

int extract_has_mode(const struct extract_state *state, const struct tar_entry *entry)
{
	return entry->type == '0' && state->exact_modes && (entry->mode & 07000) == 0 && entry->at == 0;
}

int extract_open_new(const struct extract_state *state, const struct tar_entry *entry)
{
	mode_t mode = extract_has_mode(state, entry) ? entry->mode & 0777 : 0600;

	return openat(state->parent, state->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
}

static int write_data(struct extract_state *state, const struct tar_entry *entry, int file, struct err *err)
{
	const uint8_t *bytes;
	long count;

	if (entry->sparse)
		return sparse_write(state->reader, entry, file, err);
	while ((count = tar_data(state->reader, &bytes, TAR_BUFFER, err)) > 0)
		if (write_all(file, bytes, (size_t)count) < 0)
			return err_sys(err, STEP, "%s: write", entry->path);
	return (int)count;
}

int extract_write_file(struct extract_state *state, const struct tar_entry *entry, int file, struct err *err)
{
	if (file < 0)
		return err_sys(err, STEP, "%s: create", entry->path);
	int result = entry->base[0] ? reference_copy(state->options->earlier, entry, file, err) : write_data(state, entry, file, err);
	if (result < 0)
		close(file);
	return result < 0 ? -1 : file;
}

int extract_continue_file(struct extract_state *state, const struct tar_entry *entry, struct err *err)
{
	struct stat info;
	/* Non-blocking, should the name be a FIFO. */
	int file = openat(state->parent, state->name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (file < 0 || fstat(file, &info) < 0) {
		err_sys(err, STEP, "%s: go on with it", entry->path);
	} else if (!S_ISREG(info.st_mode) || (uint64_t)info.st_size < entry->at) {
		err_set(err, EBADMSG, STEP, "malformed archive: %s goes on where it has not come to", entry->path);
	/* What is behind was received, but not verified. */
	} else if (ftruncate(file, (off_t)entry->at) < 0 || lseek(file, (off_t)entry->at, SEEK_SET) < 0) {
		err_sys(err, STEP, "%s: go on at %llu", entry->path, (unsigned long long)entry->at);
	} else if (write_data(state, entry, file, err) == 0) {
		return file;
	}
	if (file >= 0)
		close(file);
	return -1;
}
