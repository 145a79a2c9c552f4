/*
 * Run inside a container by the tests: makes one system call and prints "ok" or the errno's name.
 *   probe 64 <number> [arguments]   native call (x32 numbers too)
 *   probe 32 <number> [arguments]   through int 0x80
 *   probe open <path> <flags>       open(2) with r, w or rw
 *   probe device <c|b> <major> <minor>  mknod in the current folder, then open
 *   probe fds                       what descriptors are open, as one line
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int say(long result)
{
	printf("%s\n", result >= 0 ? "ok" : strerrorname_np(errno) ? strerrorname_np(errno) : "other");
	return 0;
}

static long compat_call(long number, const long *a)
{
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a[0]), "c"(a[1]), "d"(a[2]) : "memory", "r8", "r9", "r10", "r11");
	if ((int)result < 0) {
		errno = -(int)result;
		return -1;
	}
	return result;
}

static int descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;

	while ((entry = readdir(directory)))
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(directory))
			printf("%s ", entry->d_name);
	return 0;
}

int main(int argc, char **argv)
{
	long a[6] = { 0 };

	for (int index = 3; index < argc && index < 9; index++)
		a[index - 3] = strtol(argv[index], NULL, 0);
	if (argc > 2 && strcmp(argv[1], "64") == 0)
		return say(syscall(strtol(argv[2], NULL, 0), a[0], a[1], a[2], a[3], a[4], a[5]));
	if (argc > 2 && strcmp(argv[1], "32") == 0)
		return say(compat_call(strtol(argv[2], NULL, 0), a));
	if (argc > 3 && strcmp(argv[1], "open") == 0)
		return say(open(argv[2], strcmp(argv[3], "r") == 0 ? O_RDONLY : strcmp(argv[3], "w") == 0 ? O_WRONLY : O_RDWR));
	if (argc > 4 && strcmp(argv[1], "device") == 0) {
		int is_char = argv[2][0] == 'c';

		unlink("node");
		if (mknod("node", (is_char ? S_IFCHR : S_IFBLK) | 0600, makedev(strtoul(argv[3], NULL, 0), strtoul(argv[4], NULL, 0))) < 0)
			return say(-1);
		return say(open("node", O_RDONLY | O_NONBLOCK));
	}
	return descriptors();
}
