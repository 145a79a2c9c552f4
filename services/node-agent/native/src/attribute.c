#include "attribute.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "io.h"

enum { PROC_ROOT_INODE = 1 };

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

int attribute_open(const char *module, const char *step, struct err *err)
{
	struct open_how how = { .flags = O_WRONLY | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV };
	char own[64];
	/* The second is where a module has it that may be alone. */
	const char *const names[] = { own, "thread-self/attr/exec" };

	snprintf(own, sizeof(own), "thread-self/attr/%s/exec", module);
	CLEANUP_CLOSE int proc = open_proc();
	if (proc < 0)
		return err_sys(err, step, "/proc is not a proc file system of its own");
	for (size_t index = 0; index < sizeof(names) / sizeof(*names); index++) {
		int attribute = (int)syscall(SYS_openat2, proc, names[index], &how, sizeof(how));

		if (attribute >= 0)
			return attribute;
		if (errno != ENOENT)
			break;
	}
	return err_sys(err, step, "open the process's attribute in /proc");
}
