#include "apparmor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "io.h"

static const char STEP[] = "set AppArmor profile";

enum { PROC_ROOT_INODE = 1, NAME_MAX_BYTES = 255, COMMAND_BYTES = 4096 };

int apparmor_enabled(void)
{
	CLEANUP_FREE char *text = read_file_at(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", 16, NULL);

	return text && text[0] == 'Y';
}

int apparmor_is_name(const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || length > NAME_MAX_BYTES || *text == ':' || *text == '&' || strstr(text, "//&"))
		return 0;
	for (; *text; text++)
		if ((unsigned char)*text <= ' ' || *text == 0x7f)
			return 0;
	return 1;
}

/* The top of a procfs, and no folder or other mount that only looks like one. */
static int open_proc(void)
{
	struct statfs file_system;
	struct stat info;
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (proc < 0)
		return -1;
	if (fstatfs(proc, &file_system) == 0 && fstat(proc, &info) == 0 && (unsigned long)file_system.f_type == PROC_SUPER_MAGIC &&
	    info.st_ino == PROC_ROOT_INODE)
		return proc;
	close(proc);
	errno = ENXIO;
	return -1;
}

int apparmor_open(struct err *err)
{
	/* The second is where kernels that know one module only have it. */
	static const char *const names[] = { "thread-self/attr/apparmor/exec", "thread-self/attr/exec" };
	struct open_how how = { .flags = O_WRONLY | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV };

	if (!apparmor_enabled())
		return err_set(err, ENOTSUP, STEP, "this kernel has no AppArmor, or it is off");
	CLEANUP_CLOSE int proc = open_proc();
	if (proc < 0)
		return err_sys(err, STEP, "/proc is not a proc file system of its own");
	for (size_t index = 0; index < sizeof(names) / sizeof(*names); index++) {
		int attribute = (int)syscall(SYS_openat2, proc, names[index], &how, sizeof(how));

		if (attribute >= 0)
			return attribute;
		if (errno != ENOENT)
			break;
	}
	return err_sys(err, STEP, "open the process's attribute in /proc");
}

int apparmor_set(int attribute, const char *profile, struct err *err)
{
	char text[COMMAND_BYTES];
	int length = snprintf(text, sizeof(text), "exec %s", profile);

	if (length >= (int)sizeof(text))
		return err_set(err, ENAMETOOLONG, STEP, "the name of the AppArmor profile is too long");
	/* One write: the kernel takes the name whole or not at all. */
	if (write(attribute, text, (size_t)length) == length)
		return 0;
	if (errno == ENOENT)
		return err_set(err, ENOENT, STEP, "the AppArmor profile \"%s\" is not loaded on this host", profile);
	return err_sys(err, STEP, "AppArmor profile \"%s\"", profile);
}
