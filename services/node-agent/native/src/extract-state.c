#include "extract-state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "io.h"
#include "path.h"

static const char STEP[] = "unpack";

void extract_full_path(const struct extract_state *state, const char *name, char *out)
{
	snprintf(out, 2 * PATH_MAX, "%s/%s", state->options->base, name);
}

static int open_parent(struct extract_state *state, const char *head, const struct tar_entry *entry, struct err *err)
{
	char full[2 * PATH_MAX];

	extract_full_path(state, head, full);
	if (state->parent >= 0 && !state->stale && strcmp(full, state->cached) == 0)
		return 0;
	if (state->parent >= 0)
		close(state->parent);
	state->stale = 0;
	CLEANUP_CLOSE int path = root_mkdirs(state->options->root, full, 0755);
	/* O_RDONLY, as fchdir and attributes need more than O_PATH. */
	state->knows_owner = 0;
	state->parent = path < 0 ? -1 : openat(path, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (state->parent < 0)
		return err_sys(err, STEP, "%s: open its folder", entry->path);
	strcpy(state->cached, full);
	return 0;
}

static int whiteout(struct extract_state *state, const struct tar_entry *entry, struct err *err)
{
	const char *hidden = state->name + 4;
	struct stat info;

	if (strcmp(hidden, ".wh..opq") == 0)
		return fsetxattr(state->parent, "trusted.overlay.opaque", "y", 1, 0) < 0
			? err_sys(err, STEP, "%s: mark its folder opaque", entry->path) : 1;
	/* Other names of this form are aufs's own and mean nothing here. */
	if (strncmp(hidden, ".wh.", 4) == 0)
		return 1;
	if (check_component(hidden) < 0)
		return err_set(err, EINVAL, STEP, "%s: a whiteout of \"%s\"", entry->path, hidden);
	if (fstatat(state->parent, hidden, &info, AT_SYMLINK_NOFOLLOW) == 0) {
		/* This layer has the name itself: only what lies below is hidden, by a folder being opaque. */
		CLEANUP_CLOSE int folder = S_ISDIR(info.st_mode)
			? openat(state->parent, hidden, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;

		if (folder >= 0 && fsetxattr(folder, "trusted.overlay.opaque", "y", 1, 0) < 0)
			return err_sys(err, STEP, "%s: mark the folder opaque", entry->path);
		return 1;
	}
	return mknodat(state->parent, hidden, S_IFCHR, makedev(0, 0)) < 0 ? err_sys(err, STEP, "%s: make the whiteout", entry->path) : 1;
}

int extract_locate(struct extract_state *state, struct tar_entry *entry, struct err *err)
{
	char cleaned[PATH_MAX];
	const char *top = state->options->rename_top;

	if (clean_name(entry->path, cleaned) < 0)
		return err_set(err, EPERM, STEP, "%s: the name leads out of the archive", entry->path);
	if (top) {
		const char *rest = strchr(cleaned, '/');
		char renamed[2 * PATH_MAX];

		snprintf(renamed, sizeof(renamed), "%s%s", top, cleaned[0] && rest ? rest : "");
		if (strlen(renamed) >= sizeof(cleaned))
			return err_set(err, ENAMETOOLONG, STEP, "%s: the new name is too long", entry->path);
		strcpy(cleaned, renamed);
	}
	char *slash = strrchr(cleaned, '/');
	const char *last = slash ? slash + 1 : cleaned;
	if (strlen(last) > NAME_MAX)
		return err_set(err, ENAMETOOLONG, STEP, "%s: a name longer than 255 bytes", entry->path);
	if (cleaned[0] == '\0' && entry->type != '5')
		return err_set(err, EINVAL, STEP, "%s: only a folder can be the archive's root", entry->path);
	strcpy(state->name, cleaned[0] ? last : ".");
	if (slash)
		*slash = '\0';
	if (open_parent(state, slash ? cleaned : "", entry, err) < 0)
		return -1;
	return state->options->whiteouts && strncmp(state->name, ".wh.", 4) == 0 ? whiteout(state, entry, err) : 0;
}

int extract_remember_time(struct extract_state *state, const struct tar_entry *entry, struct err *err)
{
	char path[3 * PATH_MAX];

	if ((state->time_count & (state->time_count - 1)) == 0) {
		size_t room = state->time_count ? state->time_count * 2 : 1;
		struct folder_time *grown = realloc(state->times, room * sizeof(*grown));

		if (!grown)
			return err_set(err, ENOMEM, STEP, "out of memory");
		state->times = grown;
	}
	snprintf(path, sizeof(path), "%s/%s", state->cached, state->name);
	char *copy = strdup(path);
	if (!copy)
		return err_set(err, ENOMEM, STEP, "out of memory");
	state->times[state->time_count++] = (struct folder_time){ copy, { entry->mtime, (long)entry->mtime_ns } };
	return 0;
}

int extract_apply_times(struct extract_state *state, struct err *err)
{
	for (size_t index = state->time_count; index-- > 0;) {
		struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, state->times[index].time };
		CLEANUP_CLOSE int folder = root_open(state->options->root, state->times[index].path, O_RDONLY | O_DIRECTORY, 0,
						     RESOLVE_NO_SYMLINKS);

		/* A later member may have replaced the folder. */
		if (folder < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
			continue;
		if (folder < 0 || futimens(folder, times) < 0)
			return err_sys(err, STEP, "set the time of %s", state->times[index].path);
	}
	return 0;
}

void extract_state_free(struct extract_state *state)
{
	for (size_t index = 0; index < state->time_count; index++)
		free(state->times[index].path);
	free(state->times);
	if (state->parent >= 0)
		close(state->parent);
}
