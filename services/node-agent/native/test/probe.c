/*
 * Run inside a container by the tests: makes one system call and prints "ok" or the errno's name.
 *   probe 64 <number> [arguments]   native call (x32 numbers too)
 *   probe 32 <number> [arguments]   through int 0x80
 *   probe open <path> <flags>       open(2) with r, w or rw
 *   probe device <c|b> <major> <minor>  mknod in the current folder, then open
 *   probe access <path>             access(2) for writing: EROFS also for folders
 *   probe read <path>               "data", "empty" or the errno's name
 *   probe reopen <path> <flags>     opens for reading, then that descriptor again through /proc/self/fd
 *   probe exchange <a> <b>          swaps two names for ever
 *   probe type <descriptor>         puts a character into a terminal's input (TIOCSTI)
 *   probe spy <path>                until <path> exists, tries to get at what other processes are before their exec
 *   probe frame <interface> <hex>   sends one Ethernet frame
 *   probe capture <interface>       "bound", then every frame that comes or goes, in hex, a line each
 *   probe shutdown <path>           stops the ext4 there: nothing that is not synced will be found again
 *   probe own53 <4|6>             has port 53 on all addresses as a program that does not share; "own" to all who ask there
 *   probe xattrs <path>             names of a file's attributes, a line each; links are not followed
 *   probe ask <path> <text>         sends the text to a unix socket and prints what comes back
 *   probe project <path> <id>       moves a file or folder to another project; what is made in it later has none
 *   probe flags <path>              the second half of that by the flags of chattr(1)
 *   probe projects <folder>         of each project of its file system that anything counts on or limits: id, bytes allowed, bytes and files there
 *   probe limit <folder> <id> <bytes>  limits a project
 *   probe fds                       what descriptors are open, as one line
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/quota.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../src/project-quota.h"

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

static int open_flags(const char *text)
{
	return strcmp(text, "r") == 0 ? O_RDONLY : strcmp(text, "w") == 0 ? O_WRONLY : O_RDWR;
}

static int read_one(const char *path)
{
	char byte;
	ssize_t count = read(open(path, O_RDONLY | O_NONBLOCK), &byte, 1);

	return count < 0 ? say(-1) : puts(count ? "data" : "empty") < 0;
}

static int reopen(const char *path, int flags)
{
	char again[32];
	int first = open(path, O_RDONLY);

	if (first < 0)
		return say(-1);
	snprintf(again, sizeof(again), "/proc/self/fd/%d", first);
	return say(open(again, flags));
}

static int exchange(const char *a, const char *b)
{
	for (;;)
		if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) < 0)
			return say(-1);
}

static int send_frame(const char *interface, const char *hex)
{
	unsigned char frame[1514];
	size_t length = 0;
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface) };

	for (; length < sizeof(frame) && sscanf(hex + 2 * length, "%2hhx", &frame[length]) == 1; length++)
		;
	return say(fd < 0 ? -1 : sendto(fd, frame, length, 0, (struct sockaddr *)&to, sizeof(to)));
}

/* For ever. */
static int capture(const char *interface)
{
	static unsigned char frame[65536];
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(interface),
	};

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return say(-1);
	puts("bound");
	for (;;) {
		fflush(stdout);
		ssize_t length = recv(fd, frame, sizeof(frame), 0);

		for (ssize_t index = 0; index < length; index++)
			printf("%02x", frame[index]);
		putchar('\n');
	}
}

/* For ever; says "bound", or why not. */
static int serve_names(int family)
{
	struct sockaddr_in6 any6 = { .sin6_family = AF_INET6, .sin6_port = htons(53) };
	struct sockaddr_in any4 = { .sin_family = AF_INET, .sin_port = htons(53) };
	struct sockaddr *any = family == AF_INET6 ? (struct sockaddr *)&any6 : (struct sockaddr *)&any4;
	socklen_t size = family == AF_INET6 ? sizeof(any6) : sizeof(any4);
	struct pollfd sockets[] = { { socket(family, SOCK_DGRAM, 0), POLLIN, 0 }, { socket(family, SOCK_STREAM, 0), POLLIN, 0 } };

	for (int index = 0; index < 2; index++)
		if (bind(sockets[index].fd, any, size) < 0)
			return say(-1);
	if (listen(sockets[1].fd, 8) < 0)
		return say(-1);
	puts("bound");
	fflush(stdout);
	while (poll(sockets, 2, -1) > 0) {
		struct sockaddr_storage asker;
		socklen_t length = sizeof(asker);
		char text[64];

		if (sockets[0].revents && recvfrom(sockets[0].fd, text, sizeof(text), 0, (struct sockaddr *)&asker, &length) >= 0)
			sendto(sockets[0].fd, "own", 3, 0, (struct sockaddr *)&asker, length);
		if (sockets[1].revents) {
			int client = accept(sockets[1].fd, NULL, NULL);

			if (write(client, "own", 3) == 3)
				close(client);
		}
	}
	return 1;
}

static int list_attributes(const char *path)
{
	char names[4096];
	ssize_t length = llistxattr(path, names, sizeof(names));

	for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1)
		puts(names + at);
	return length < 0;
}

/* EXT4_IOC_SHUTDOWN without a flush of the journal (fs/ext4/ext4.h): what a power cut leaves. */
static int shut_down(const char *path)
{
	unsigned flags = 2;
	int fd = open(path, O_RDONLY | O_DIRECTORY);

	return say(fd < 0 ? -1 : ioctl(fd, _IOR('X', 125, unsigned), &flags));
}

/* Whether a link of a process leads to the same file as a path of this container; -1 when it cannot be followed. */
static int is_same(const char *process, const char *link, const char *const *paths)
{
	char name[300];
	struct stat theirs, ours;

	snprintf(name, sizeof(name), "/proc/%s/%s", process, link);
	if (stat(name, &theirs) < 0)
		return -1;
	for (; *paths; paths++)
		if (stat(*paths, &ours) == 0 && ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev)
			return 1;
	return 0;
}

static int open_files(const char *process)
{
	char name[300];
	DIR *directory;
	struct dirent *entry;
	struct stat info;
	int found = 0;

	snprintf(name, sizeof(name), "/proc/%s/fd", process);
	if (!(directory = opendir(name)))
		return 0;
	while ((entry = readdir(directory)))
		if (entry->d_name[0] != '.' && fstatat(dirfd(directory), entry->d_name, &info, 0) == 0 &&
		    (S_ISDIR(info.st_mode) || S_ISREG(info.st_mode)))
			found++;
	closedir(directory);
	return found;
}

/* Stops a process where it is: then it is still the program it was. */
static int traced(const char *process, const char *const *programs)
{
	pid_t pid = atoi(process);
	int status, bad = 0;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		return 0;
	if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0 && waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status))
		bad = is_same(process, "exe", programs) == 0;
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return bad;
}

static int spy(const char *stop)
{
	static const char *const programs[] = { "/bin/busybox", "/bin/probe", NULL }, *const roots[] = { "/", NULL };
	unsigned long outside = 0, seen = 0;

	while (access(stop, F_OK) < 0) {
		DIR *directory = opendir("/proc");
		struct dirent *entry;

		while ((entry = readdir(directory))) {
			int pid = atoi(entry->d_name);

			if (pid < 2 || pid == getpid())
				continue;
			seen++;
			outside += is_same(entry->d_name, "exe", programs) == 0;
			outside += is_same(entry->d_name, "root", roots) == 0;
			outside += (unsigned long)open_files(entry->d_name);
			outside += (unsigned long)traced(entry->d_name, programs);
		}
		closedir(directory);
	}
	printf("%s %s\n", seen ? "seen" : "blind", outside ? "outside" : "nothing");
	return 0;
}

static int ask(const char *path, const char *question)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int connection = socket(AF_UNIX, SOCK_STREAM, 0);
	char answer[4096];
	ssize_t count;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(connection, (struct sockaddr *)&address, sizeof(address)) < 0 || write(connection, question, strlen(question)) < 0)
		return say(-1);
	while ((count = read(connection, answer, sizeof(answer))) > 0)
		fwrite(answer, 1, (size_t)count, stdout);
	return 0;
}

static long leave_project(const char *path, const char *id)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);

	return file < 0 ? -1 : project_set(file, (unsigned)strtoul(id, NULL, 10), 0);
}

static long stop_inheriting(const char *path)
{
	int file = open(path, O_RDONLY | O_CLOEXEC), flags;

	if (file < 0 || ioctl(file, FS_IOC_GETFLAGS, &flags) < 0)
		return -1;
	flags &= ~FS_PROJINHERIT_FL;
	return ioctl(file, FS_IOC_SETFLAGS, &flags);
}

static int list_projects(const char *folder)
{
	struct fs_disk_quota found = { .d_id = 0 };
	int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (unsigned id = 1; id != 0; id = found.d_id + 1) {
		memset(&found, 0, sizeof(found));
		if (syscall(SYS_quotactl_fd, file, QCMD(Q_XGETNEXTQUOTA, PRJQUOTA), id, &found) < 0)
			return errno == ENOENT ? 0 : say(-1);
		if (found.d_blk_hardlimit || found.d_bcount || found.d_icount)
			printf("%u %llu %llu %llu\n", found.d_id, (unsigned long long)found.d_blk_hardlimit * 512, (unsigned long long)found.d_bcount * 512, (unsigned long long)found.d_icount);
	}
	return 0;
}

static long limit_project(char **argv)
{
	int file = open(argv[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return project_limit(file, (unsigned)strtoul(argv[1], NULL, 10), strtoull(argv[2], NULL, 10) / 512);
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
		return say(open(argv[2], open_flags(argv[3])));
	if (argc > 3 && strcmp(argv[1], "reopen") == 0)
		return reopen(argv[2], open_flags(argv[3]));
	if (argc > 3 && strcmp(argv[1], "ask") == 0)
		return ask(argv[2], argv[3]);
	if (argc > 3 && strcmp(argv[1], "exchange") == 0)
		return exchange(argv[2], argv[3]);
	if (argc > 3 && strcmp(argv[1], "frame") == 0)
		return send_frame(argv[2], argv[3]);
	if (argc > 2 && strcmp(argv[1], "capture") == 0)
		return capture(argv[2]);
	if (argc > 2 && strcmp(argv[1], "shutdown") == 0)
		return shut_down(argv[2]);
	if (argc > 2 && strcmp(argv[1], "own53") == 0)
		return serve_names(argv[2][0] == '6' ? AF_INET6 : AF_INET);
	if (argc > 2 && strcmp(argv[1], "xattrs") == 0)
		return list_attributes(argv[2]);
	if (argc > 3 && strcmp(argv[1], "project") == 0)
		return say(leave_project(argv[2], argv[3]));
	if (argc > 2 && strcmp(argv[1], "flags") == 0)
		return say(stop_inheriting(argv[2]));
	if (argc > 2 && strcmp(argv[1], "projects") == 0)
		return list_projects(argv[2]);
	if (argc > 4 && strcmp(argv[1], "limit") == 0)
		return say(limit_project(argv + 2));
	if (argc > 2 && strcmp(argv[1], "access") == 0)
		return say(access(argv[2], W_OK));
	if (argc > 2 && strcmp(argv[1], "read") == 0)
		return read_one(argv[2]);
	if (argc > 2 && strcmp(argv[1], "type") == 0)
		return say(ioctl(atoi(argv[2]), TIOCSTI, "x"));
	if (argc > 2 && strcmp(argv[1], "spy") == 0)
		return spy(argv[2]);
	if (argc > 4 && strcmp(argv[1], "device") == 0) {
		int is_char = argv[2][0] == 'c';

		unlink("node");
		if (mknod("node", (is_char ? S_IFCHR : S_IFBLK) | 0600, makedev(strtoul(argv[3], NULL, 0), strtoul(argv[4], NULL, 0))) < 0)
			return say(-1);
		return say(open("node", O_RDONLY | O_NONBLOCK));
	}
	return descriptors();
}
