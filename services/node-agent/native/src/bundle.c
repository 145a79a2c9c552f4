#include "bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "socket.h"

int bundle_enter(const char *path, struct err *err)
{
	struct stat info;
	int bundle = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (bundle < 0 || fstat(bundle, &info) < 0 || fchdir(bundle) < 0) {
		err_sys(err, "enter bundle", "%s", path);
		if (bundle >= 0)
			close(bundle);
		return -1;
	}
	if (info.st_uid != geteuid() || (info.st_mode & 077)) {
		close(bundle);
		return err_set(err, EPERM, "enter bundle", "%s must be owned by this user and have mode 0700", path);
	}
	return bundle;
}

int bundle_lock(int bundle, unsigned milliseconds, int client, struct err *err)
{
	uint64_t deadline = now_monotonic_ms() + milliseconds;
	struct stat held, named;
	char text[64];

	for (;;) {
		int lock = openat(bundle, "shim.pid", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (lock < 0)
			return err_sys(err, "lock bundle", "shim.pid");
		if (flock(lock, LOCK_EX | LOCK_NB) == 0 && fstat(lock, &held) == 0 &&
		    fstatat(bundle, "shim.pid", &named, AT_SYMLINK_NOFOLLOW) == 0 && held.st_ino == named.st_ino) {
			int length = snprintf(text, sizeof(text), "%d %llu\n", (int)getpid(),
					      (unsigned long long)process_start_ticks(getpid()));

			if (ftruncate(lock, 0) < 0 || pwrite(lock, text, (size_t)length, 0) != length)
				return err_sys(err, "lock bundle", "write shim.pid");
			return lock;
		}
		close(lock);
		if (now_monotonic_ms() > deadline)
			return err_set(err, EBUSY, "lock bundle", "another shim has this bundle");
		if (socket_wait_hang_up(client, 1))
			return err_set(err, ECANCELED, "lock bundle", "who wanted it has left");
	}
}

int bundle_write_pid(int bundle, const char *name, pid_t pid, struct err *err)
{
	char text[64];
	int length = snprintf(text, sizeof(text), "%d %llu\n", (int)pid, (unsigned long long)process_start_ticks(pid));
	CLEANUP_CLOSE int file = openat(bundle, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (file < 0 || write_all(file, text, (size_t)length) < 0)
		return err_sys(err, "write bundle", "%s", name);
	return 0;
}

int bundle_note_start(int bundle, struct err *err)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)now_realtime_ns());
	CLEANUP_CLOSE int file = openat(bundle, "init.pid", O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);

	return file < 0 || write_all(file, text, (size_t)length) < 0 ? err_sys(err, "write bundle", "init.pid") : 0;
}
