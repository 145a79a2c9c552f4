#include "self.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "io.h"

static char SEALED[] = "atoll-shim (sealed)";
static char *title;
static size_t title_room;

/* The arguments lie before the environment, all in one piece. */
static void find_title(char **argv)
{
	char *end = argv[0];

	for (char **text = argv; *text; text++)
		if (*text == end)
			end += strlen(*text) + 1;
	for (char **text = environ; *text; text++)
		if (*text == end)
			end += strlen(*text) + 1;
	title = argv[0];
	title_room = (size_t)(end - title);
}

void self_title(const char *format, ...)
{
	va_list arguments;

	if (title_room == 0)
		return;
	memset(title, 0, title_room);
	va_start(arguments, format);
	vsnprintf(title, title_room, format, arguments);
	va_end(arguments);
}

int self_seal(char **argv, struct err *err)
{
	static char room_for_title[512];
	static char *const environment[] = { room_for_title, NULL };
	struct mount_attr readonly = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID };
	struct statvfs info;
	CLEANUP_CLOSE int self = open("/proc/self/exe", O_PATH | O_CLOEXEC);

	if (self < 0 || fstatvfs(self, &info) < 0)
		return err_sys(err, "seal the shim", "look at /proc/self/exe");
	if (info.f_flag & ST_RDONLY) {
		find_title(argv);
		return 0;
	}
	if (strcmp(argv[0], SEALED) == 0)
		return err_set(err, EROFS, "seal the shim", "the read-only clone of the program is writable");
	CLEANUP_CLOSE int clone = open_tree(self, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (clone < 0 || mount_setattr(clone, "", AT_EMPTY_PATH, &readonly, sizeof(readonly)) < 0)
		return err_sys(err, "seal the shim", "clone the program's mount");
	argv[0] = SEALED;
	memset(room_for_title, ' ', sizeof(room_for_title) - 1);
	execveat(clone, "", argv, environment, AT_EMPTY_PATH);
	return err_sys(err, "seal the shim", "execute the clone");
}

int self_detach(struct err *err)
{
	static const int ignored[] = { SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM, SIGUSR1, SIGUSR2 };

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(err, "detach the shim", "prctl");
	prctl(PR_SET_NAME, "atoll-shim", 0, 0, 0);
	close_range(3, ~0u, 0);
	/* Fails when the caller made us a session leader already, which is as good. */
	setsid();
	umask(022);
	for (size_t index = 0; index < sizeof(ignored) / sizeof(*ignored); index++)
		signal(ignored[index], SIG_IGN);
	return 0;
}
