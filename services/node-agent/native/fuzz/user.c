/* passwd and group of an image, and users in Docker's form. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "user.h"

static int root = -1;
static char folder[] = "/dev/shm/atoll-fuzz.XXXXXX";

static void remove_root(void)
{
	unlinkat(root, "etc/passwd", 0);
	unlinkat(root, "etc/group", 0);
	unlinkat(root, "etc", AT_REMOVEDIR);
	rmdir(folder);
}

static void make_root(void)
{
	if (!mkdtemp(folder) || (root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0 || mkdirat(root, "etc", 0755) < 0)
		abort();
	atexit(remove_root);
}

static void write_mutated(const char *name, const char *const *lines, unsigned count)
{
	size_t length = 0;
	int file = openat(root, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	for (unsigned lines_left = next_random() % 90; lines_left > 0; lines_left--)
		length += (size_t)snprintf((char *)input + length, INPUT_ROOM - length, "%s%s", lines[next_random() % count],
					   next_random() % 16 ? "\n" : "");
	length = mutate(length);
	if (file < 0 || write(file, input, length) != (ssize_t)length)
		abort();
	close(file);
}

static void user_round(void)
{
	static const char *const passwd[] = {
		"root:x:0:0:root:/root:/bin/sh", "ann:x:1000:1001:Ann:/home/ann:/bin/sh", "1000:x:0:0:trap:/:/bin/sh",
		"big:x:4294967295:2147483648::/:", "::::::", "short:x:1", "# comment", "", "+nis::::::", "neg:x:-1:-1::/:/",
	};
	static const char *const group[] = {
		"root:x:0:", "ann:x:1001:", "audio:x:29:ann,,root", "video:x:44:,ann", "big:x:4294967296:ann", "x:x", "29:x:0:ann", "",
	};
	static const char *const users[] = {
		"", "root", "ann", "ann:audio", "1000", "1000:", ":29", "4294967295", "-1", "ann:nobody", "::", "01", "1000:video",
	};
	static struct user user;
	char spec[32];
	struct process_plan process = { .user = spec };
	struct err err;

	if (root < 0)
		make_root();
	write_mutated("etc/passwd", passwd, sizeof(passwd) / sizeof(*passwd));
	write_mutated("etc/group", group, sizeof(group) / sizeof(*group));
	snprintf((char *)input, INPUT_ROOM, "%s", users[next_random() % (sizeof(users) / sizeof(*users))]);
	size_t length = next_random() % 2 ? strlen((char *)input) : mutate(strlen((char *)input));
	if (length >= sizeof(spec))
		length = sizeof(spec) - 1;
	memcpy(spec, input, length);
	spec[length] = '\0';
	if (user_resolve(root, &process, &user, &err) < 0)
		return;
	fuzz_user.whole++;
	if (user.uid > INT32_MAX || user.gid > INT32_MAX || user.group_count > USER_MAX_GROUPS || !memchr(user.home, 0, sizeof(user.home)))
		abort();
}

struct target fuzz_user = { "users", user_round, 0 };
