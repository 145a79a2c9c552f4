#include "user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "path.h"

enum { LINE_MAX_BYTES = 65536, FILE_MAX_BYTES = 16 << 20 };

static const char STEP[] = "resolve user";

typedef int (*line_visitor)(char *line, void *context, struct err *err);

/* Calls the visitor for each line; stops early when it gives 1. A missing file has no lines. */
static int each_line(int root, const char *path, line_visitor visitor, void *context, struct err *err)
{
	struct stat info;
	size_t used = 0, total = 0;
	CLEANUP_CLOSE int look = root_open(root, path, O_PATH, 0, 0);

	if (look < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_sys(err, STEP, "open %s", path);
	if (fstat(look, &info) < 0 || !S_ISREG(info.st_mode))
		return err_set(err, EINVAL, STEP, "%s is not a regular file", path);
	CLEANUP_CLOSE int file = root_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, 0);
	CLEANUP_FREE char *buffer = malloc(LINE_MAX_BYTES + 1);
	if (file < 0 || !buffer)
		return err_sys(err, STEP, "read %s", path);
	for (;;) {
		ssize_t count = read(file, buffer + used, LINE_MAX_BYTES - used);

		if (count < 0)
			return err_sys(err, STEP, "read %s", path);
		used += (size_t)count;
		total += (size_t)count;
		if (total > FILE_MAX_BYTES)
			return err_set(err, EFBIG, STEP, "%s is larger than 16 MiB", path);
		if (count == 0 && used > 0)
			buffer[used++] = '\n';
		char *start = buffer, *end;
		while ((end = memchr(start, '\n', used - (size_t)(start - buffer)))) {
			*end = '\0';
			int result = visitor(start, context, err);
			if (result != 0)
				return result < 0 ? -1 : 0;
			start = end + 1;
		}
		used -= (size_t)(start - buffer);
		memmove(buffer, start, used);
		if (count == 0)
			return 0;
		if (used >= LINE_MAX_BYTES - 1)
			return err_set(err, EFBIG, STEP, "%s has a line longer than 64 KiB", path);
	}
}

/* Splits at ':' into exactly `wanted` fields or more; 0 when there are fewer. */
static int split_fields(char *line, char **fields, int wanted)
{
	int count = 0;

	while (count < wanted) {
		fields[count++] = line;
		line = strchr(line, ':');
		if (!line)
			break;
		*line++ = '\0';
	}
	return count == wanted;
}

struct passwd_search {
	const char *name;   /* NULL when searching by number */
	uint64_t number;
	int found;
	char found_name[256];
	struct user *user;
};

static int match_passwd(char *line, void *context, struct err *err)
{
	struct passwd_search *search = context;
	char *fields[6];
	uint64_t uid, gid;

	(void)err;
	if (!split_fields(line, fields, 6) || parse_decimal(fields[2], INT32_MAX, &uid) < 0 ||
	    parse_decimal(fields[3], INT32_MAX, &gid) < 0)
		return 0;
	if (search->name ? strcmp(fields[0], search->name) != 0 : uid != search->number)
		return 0;
	search->found = 1;
	search->user->uid = (uid_t)uid;
	search->user->gid = (gid_t)gid;
	if (strlen(fields[0]) < sizeof(search->found_name))
		strcpy(search->found_name, fields[0]);
	if (fields[5][0] == '/' && strlen(fields[5]) < sizeof(search->user->home))
		strcpy(search->user->home, fields[5]);
	return 1;
}

static int add_group(struct user *user, gid_t gid, struct err *err)
{
	for (size_t index = 0; index < user->group_count; index++)
		if (user->groups[index] == gid)
			return 0;
	if (user->group_count == USER_MAX_GROUPS)
		return err_set(err, E2BIG, STEP, "the user is in more than %d groups", USER_MAX_GROUPS);
	user->groups[user->group_count++] = gid;
	return 0;
}

struct group_search {
	const char *name;   /* group wanted by name, or NULL */
	const char *member; /* collect groups that list this user, or NULL */
	int found;
	gid_t gid;
	struct user *user;
};

static int match_group(char *line, void *context, struct err *err)
{
	struct group_search *search = context;
	char *fields[4], *save = NULL;
	uint64_t gid;

	if (!split_fields(line, fields, 4) || parse_decimal(fields[2], INT32_MAX, &gid) < 0)
		return 0;
	if (search->name) {
		if (strcmp(fields[0], search->name) != 0)
			return 0;
		search->found = 1;
		search->gid = (gid_t)gid;
		return 1;
	}
	for (char *member = strtok_r(fields[3], ",", &save); member; member = strtok_r(NULL, ",", &save))
		if (strcmp(member, search->member) == 0)
			return add_group(search->user, (gid_t)gid, err);
	return 0;
}

static int looks_numeric(const char *text)
{
	size_t digits = strspn(text + (*text == '-'), "0123456789");

	return digits > 0 && text[(*text == '-') + digits] == '\0';
}

static int resolve_group(int root, const char *text, gid_t *gid, struct err *err)
{
	struct group_search search = { .name = text };
	uint64_t number;

	if (looks_numeric(text)) {
		if (parse_decimal(text, INT32_MAX, &number) < 0)
			return err_set(err, EINVAL, STEP, "group \"%s\": uids and gids must be in range 0-2147483647", text);
		*gid = (gid_t)number;
		return 0;
	}
	if (each_line(root, "/etc/group", match_group, &search, err) < 0)
		return -1;
	if (!search.found)
		return err_set(err, ENOENT, STEP, "unable to find group %s: no matching entries in group file", text);
	*gid = search.gid;
	return 0;
}

static int resolve_docker(int root, const char *spec, struct user *user, struct err *err)
{
	char name[256];
	const char *colon = strchr(spec, ':');
	size_t length = colon ? (size_t)(colon - spec) : strlen(spec);
	const char *group = colon && colon[1] ? colon + 1 : NULL;
	struct passwd_search search = { .user = user };

	if (length >= sizeof(name))
		return err_set(err, EINVAL, STEP, "the user name is longer than 255 bytes");
	memcpy(name, spec, length);
	name[length] = '\0';
	if (looks_numeric(name)) {
		if (parse_decimal(name, INT32_MAX, &search.number) < 0)
			return err_set(err, EINVAL, STEP, "user \"%s\": uids and gids must be in range 0-2147483647", name);
		user->uid = (uid_t)search.number;
	} else if (length > 0) {
		search.name = name;
	}
	if (each_line(root, "/etc/passwd", match_passwd, &search, err) < 0)
		return -1;
	if (search.name && !search.found)
		return err_set(err, ENOENT, STEP, "unable to find user %s: no matching entries in passwd file", name);
	if (group && resolve_group(root, group, &user->gid, err) < 0)
		return -1;
	if (add_group(user, user->gid, err) < 0)
		return -1;
	struct group_search member = { .member = search.found_name, .user = user };
	if (!group && search.found_name[0])
		return each_line(root, "/etc/group", match_group, &member, err);
	return 0;
}

int user_resolve(int root, const struct process_plan *process, struct user *user, struct err *err)
{
	memset(user, 0, sizeof(*user));
	strcpy(user->home, "/");
	if (process->user) {
		if (resolve_docker(root, process->user, user, err) < 0)
			return -1;
	} else {
		struct passwd_search search = { .number = process->uid, .user = user };

		/* Only for HOME; the ids are as given. */
		if (each_line(root, "/etc/passwd", match_passwd, &search, err) < 0)
			return -1;
		user->uid = process->uid;
		user->gid = process->gid;
		if (add_group(user, user->gid, err) < 0)
			return -1;
	}
	for (size_t index = 0; index < process->group_count; index++)
		if (add_group(user, process->groups[index], err) < 0)
			return -1;
	for (size_t index = 0; index < process->group_names.count; index++) {
		gid_t gid;

		if (resolve_group(root, process->group_names.items[index], &gid, err) < 0 || add_group(user, gid, err) < 0)
			return -1;
	}
	return 0;
}
