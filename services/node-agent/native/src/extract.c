#include "extract.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "extract-file.h"
#include "io.h"
#include "path.h"
#include "reference.h"
#include "volume-notes.h"

static const char STEP[] = "unpack";

int clean_name(const char *name, char *out)
{
	size_t at = 0, depth = 0;
	const char *part = name;

	while (*part) {
		size_t length = strcspn(part, "/");

		if (length == 2 && part[0] == '.' && part[1] == '.') {
			if (depth == 0)
				return -1;
			depth--;
			while (at > 0 && out[at - 1] != '/')
				at--;
			if (at > 0)
				at--;
		} else if (length > 0 && !(length == 1 && part[0] == '.')) {
			if (at > 0)
				out[at++] = '/';
			memcpy(out + at, part, length);
			at += length;
			depth++;
		}
		part += length;
		part += strspn(part, "/");
	}
	out[at] = '\0';
	return 0;
}

static int fail(struct err *err, const struct tar_entry *entry, const char *what)
{
	return err_sys(err, STEP, "%s: %s", entry->path, what);
}

/* Makes room for the member. 1: a folder is there and stays. */
static int clear(struct extract_state *state, const struct tar_entry *entry, struct err *err)
{
	struct stat info;
	int was_whiteout = 0;

	if (fstatat(state->parent, state->name, &info, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail(err, entry, "look at what is there");
	if (S_ISDIR(info.st_mode) && entry->type == '5')
		return 1;
	if (state->options->keep_kinds && (S_ISDIR(info.st_mode) || entry->type == '5'))
		return err_set(err, EEXIST, STEP,
			       S_ISDIR(info.st_mode) ? "cannot overwrite directory \"%s\" with non-directory"
						     : "cannot overwrite non-directory \"%s\" with directory", entry->path);
	was_whiteout = state->options->whiteouts && S_ISCHR(info.st_mode) && info.st_rdev == 0;
	state->stale = 1;
	if (remove_tree(state->parent, state->name) < 0)
		return fail(err, entry, "remove what is there");
	/* A whiteout and a new folder of that name: the lower folder's content must stay hidden. */
	state->make_opaque = was_whiteout && entry->type == '5';
	return 0;
}

static int hard_link(struct extract_state *state, const struct tar_entry *entry, struct err *err)
{
	char target[PATH_MAX], full[2 * PATH_MAX], name[NAME_MAX + 1];

	if (clean_name(entry->link, target) < 0 || target[0] == '\0')
		return err_set(err, EPERM, STEP, "%s: its hard link target \"%s\" is outside the archive", entry->path, entry->link);
	extract_full_path(state, target, full);
	CLEANUP_CLOSE int parent = root_parent(state->options->root, full, 0, name);
	if (parent < 0 || linkat(parent, name, state->parent, state->name, 0) < 0)
		return fail(err, entry, "make the hard link");
	return 0;
}

static int create(struct extract_state *state, const struct tar_entry *entry, struct err *err)
{
	mode_t before;
	int result = 0;

	switch (entry->type) {
	case '0':
		return extract_write_file(state, entry, extract_open_new(state, entry), err);
	case '1':
		return hard_link(state, entry, err);
	case '2':
		state->stale = 1;
		return symlinkat(entry->link, state->parent, state->name) < 0 ? fail(err, entry, "make the symbolic link") : 0;
	case '5':
		if (mkdirat(state->parent, state->name, 0700) < 0)
			return fail(err, entry, "make the folder");
		break;
	default:
		if (entry->type == '3' && entry->major == 0 && entry->minor == 0 && !state->options->volume)
			return err_set(err, EPERM, STEP, "%s: the device 0:0 is overlay's own mark", entry->path);
		before = umask(0);
		result = mknodat(state->parent, state->name,
				 (entry->type == '3' ? S_IFCHR : entry->type == '4' ? S_IFBLK : S_IFIFO) | entry->mode,
				 entry->type == '6' ? 0 : makedev(entry->major, entry->minor));
		umask(before);
		return result < 0 ? fail(err, entry, "make the node") : 0;
	}
	return 0;
}

/* Labels and rules of security modules are the host's to give, overlay's marks are made of whiteouts. */
static int is_of_host(const char *name)
{
	return strncmp(name, "trusted.overlay.", 16) == 0 || strncmp(name, "user.overlay.", 13) == 0 ||
	       (strncmp(name, "security.", 9) == 0 && strcmp(name, "security.capability") != 0);
}

static int set_xattrs(struct extract_state *state, const struct tar_entry *entry, int fd, const char *path, struct err *err)
{
	for (size_t index = 0; index < entry->xattr_count; index++) {
		const struct tar_xattr *xattr = &entry->xattrs[index];

		if (state->options->volume && !volume_keeps_xattr(xattr->name))
			return err_set(err, EPERM, STEP, "%s: the attribute %s is none of a volume's", entry->path, xattr->name);
		if (!state->options->volume && is_of_host(xattr->name))
			continue;
		if (strcmp(xattr->name, "system.posix_acl_default") == 0)
			state->exact_modes = 0;
		int result = fd >= 0 ? fsetxattr(fd, xattr->name, xattr->value, xattr->length, 0)
				     : lsetxattr(path, xattr->name, xattr->value, xattr->length, 0);
		/* "user." is for files and folders only; a file system may know no attributes at all. */
		if (result < 0 && errno != ENOTSUP && !(errno == EPERM && strncmp(xattr->name, "user.", 5) == 0))
			return fail(err, entry, xattr->name);
	}
	return 0;
}

/* Most files of a layer have the owner that all new files of their folder have: asked once a folder. */
static int set_owner(struct extract_state *state, const struct tar_entry *entry, int file, uid_t uid, gid_t gid)
{
	struct stat info;

	if (entry->type == '0' && !state->knows_owner && fstat(file, &info) == 0) {
		state->knows_owner = 1;
		state->made_uid = info.st_uid;
		state->made_gid = info.st_gid;
	}
	if (entry->type == '0' && state->knows_owner && state->made_uid == uid && state->made_gid == gid)
		return 0;
	return fchown(file, uid, gid);
}

static int set_metadata(struct extract_state *state, const struct tar_entry *entry, int file, struct err *err)
{
	uid_t uid = state->options->chown ? state->options->uid : (uid_t)entry->uid;
	gid_t gid = state->options->chown ? state->options->gid : (gid_t)entry->gid;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { entry->mtime, (long)entry->mtime_ns } };
	CLEANUP_CLOSE int folder = -1;

	if (entry->type == '5') {
		folder = openat(state->parent, state->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (folder < 0)
			return fail(err, entry, "open the folder");
		file = folder;
	}
	if (file >= 0) {
		/* The owner first: a change of owner clears set-id bits and file capabilities. */
		if (set_owner(state, entry, file, uid, gid) < 0 || (!extract_has_mode(state, entry) && fchmod(file, entry->mode) < 0))
			return fail(err, entry, "set owner and mode");
		if (set_xattrs(state, entry, file, NULL, err) < 0)
			return -1;
		if (state->make_opaque && entry->type == '5' && fsetxattr(file, "trusted.overlay.opaque", "y", 1, 0) < 0)
			return fail(err, entry, "mark it opaque");
		return futimens(file, times) < 0 ? fail(err, entry, "set the time") : 0;
	}
	if (fchownat(state->parent, state->name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(err, entry, "set the owner");
	if (entry->xattr_count > 0) {
		/* Attributes of links and nodes have no descriptor form: the name alone, from within its folder. */
		if (fchdir(state->parent) < 0 || set_xattrs(state, entry, -1, state->name, err) < 0)
			return err->code ? -1 : fail(err, entry, "enter its folder");
	}
	return utimensat(state->parent, state->name, times, AT_SYMLINK_NOFOLLOW) < 0 ? fail(err, entry, "set the time") : 0;
}

static int link_earlier(struct extract_state *state, const struct tar_entry *entry, struct err *err)
{
	return clear(state, entry, err) < 0 ? -1 : reference_link(state->options->earlier, entry, state->parent, state->name, err);
}

static int go_on(struct extract_state *state, const struct tar_entry *entry, struct err *err)
{
	if (!state->options->received)
		return err_set(err, EPERM, STEP, "%s: goes on with a file, which only copies between hosts do", entry->path);
	return entry->base[0] && link_earlier(state, entry, err) < 0 ? -1 : extract_continue_file(state, entry, err);
}

static int unpack_member(struct extract_state *state, const struct tar_entry *entry, struct err *err)
{
	state->make_opaque = 0;
	if (entry->base[0] && state->options->earlier < 0)
		return err_set(err, EPERM, STEP, "%s: refers to an earlier copy, and there is none", entry->path);
	if (entry->base[0] && entry->at == 0 && !state->options->copy_earlier)
		return link_earlier(state, entry, err);
	int file = entry->type != '0' ? -1 : entry->at > 0 ? go_on(state, entry, err) : extract_open_new(state, entry);
	if (entry->at > 0) {
		if (file < 0)
			return -1;
	} else if (file >= 0) {
		file = extract_write_file(state, entry, file, err);
	} else {
		int kept = clear(state, entry, err);
		if (kept < 0)
			return -1;
		file = kept ? 0 : create(state, entry, err);
	}
	if (file < 0)
		return -1;
	int result = 0;
	/* A hard link shares its target's metadata, which is already there. */
	if (entry->type != '1')
		result = set_metadata(state, entry, entry->type == '0' ? file : -1, err);
	if (entry->type == '0')
		close(file);
	if (result == 0 && entry->type == '0' && state->options->received)
		result = state->options->received(entry, state->parent, state->name, state->options->context, err);
	if (result == 0 && entry->type == '5')
		result = extract_remember_time(state, entry, err);
	return result;
}

int extract(struct tar_reader *reader, const struct extract_options *options, struct extract_totals *totals, struct err *err)
{
	static struct tar_entry entry;
	/* A layer's folders are all made here; those of a container may have default ACLs already. */
	struct extract_state state = { .options = options, .reader = reader, .parent = -1, .exact_modes = options->whiteouts };
	mode_t before = umask(0);
	int result, handled;

	memset(totals, 0, sizeof(*totals));
	while ((result = tar_next(reader, &entry, err)) > 0) {
		totals->entries++;
		totals->bytes += entry.size;
		if (totals->entries > options->max_entries || totals->bytes > options->max_bytes || entry.size > options->max_bytes) {
			result = err_set(err, EDQUOT, STEP, "the archive holds more than %llu bytes or %llu members",
					 (unsigned long long)options->max_bytes, (unsigned long long)options->max_entries);
			break;
		}
		handled = options->filter ? options->filter(reader, &entry, options->context, err) : 0;
		if (handled == 0)
			handled = extract_locate(&state, &entry, err);
		if (handled == 0)
			result = unpack_member(&state, &entry, err);
		else if (handled < 0)
			result = -1;
		if (result < 0)
			break;
	}
	if (result == 0)
		result = extract_apply_times(&state, err);
	extract_state_free(&state);
	umask(before);
	return result;
}
