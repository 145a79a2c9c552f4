#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"

static const char STEP[] = "stdio";

static int make_pipe(int *read_end, int *write_end, struct err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, STEP, "pipe");
	*read_end = ends[0];
	*write_end = ends[1];
	return 0;
}

int stdio_make(const struct process_plan *process, struct stdio *streams, struct err *err)
{
	*streams = (struct stdio){ process->tty, -1, -1, -1, -1, -1, -1 };
	if (process->tty)
		return 0;
	if (process->stdin_mode == STDIN_NULL) {
		streams->child_in = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (streams->child_in < 0)
			return err_sys(err, STEP, "open /dev/null");
	} else if (make_pipe(&streams->child_in, &streams->in, err) < 0) {
		return -1;
	}
	if (make_pipe(&streams->out, &streams->child_out, err) < 0 || make_pipe(&streams->error, &streams->child_error, err) < 0)
		return -1;
	int shim_side[] = { streams->in, streams->out, streams->error };
	for (int index = 0; index < 3; index++)
		if (shim_side[index] >= 0 && fcntl(shim_side[index], F_SETFL, O_NONBLOCK) < 0)
			return err_sys(err, STEP, "make non-blocking");
	return 0;
}

int stdio_give(const struct stdio *streams, const struct id_map *ids, struct err *err)
{
	int pipes[] = { streams->in >= 0 ? streams->child_in : -1, streams->child_out, streams->child_error };

	for (int index = 0; index < 3; index++)
		if (pipes[index] >= 0 && fchown(pipes[index], ids->uid, ids->gid) < 0)
			return err_sys(err, STEP, "give the stream to the container's root");
	return 0;
}

static void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void stdio_close_child(struct stdio *streams)
{
	drop(&streams->child_in);
	drop(&streams->child_out);
	drop(&streams->child_error);
}

void stdio_close_shim(struct stdio *streams)
{
	if (streams->in == streams->out)
		streams->in = -1;
	drop(&streams->in);
	drop(&streams->out);
	drop(&streams->error);
}

int stdio_open_peer(int master, const struct process_plan *process, struct err *err)
{
	struct winsize size = { .ws_row = process->rows, .ws_col = process->cols };
	int unlocked = 0;

	if (ioctl(master, TIOCSPTLCK, &unlocked) < 0)
		return err_sys(err, "terminal", "unlock");
	if ((size.ws_row || size.ws_col) && ioctl(master, TIOCSWINSZ, &size) < 0)
		return err_sys(err, "terminal", "set size");
	int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return slave < 0 ? err_sys(err, "terminal", "open the peer") : slave;
}

int stdio_install(const struct stdio *streams, uid_t uid, struct err *err)
{
	int from[] = { streams->child_in, streams->child_out, streams->child_error };
	struct stat info;

	if (setsid() < 0 && errno != EPERM)
		return err_sys(err, STEP, "setsid");
	if (streams->tty && ioctl(streams->child_in, TIOCSCTTY, 0) < 0)
		return err_sys(err, "terminal", "make it the controlling terminal");
	for (int fd = 0; fd < 3; fd++) {
		if (dup2(from[fd], fd) < 0)
			return err_sys(err, STEP, "dup2");
		/* So that the user may open /dev/stdout anew. The null device is shared: not ours to give away. */
		if (uid != 0 && fstat(fd, &info) == 0 && (S_ISFIFO(info.st_mode) || streams->tty) &&
		    fchown(fd, uid, (gid_t)-1) < 0 && errno != EPERM && errno != EROFS)
			return err_sys(err, STEP, "give the stream to the user");
	}
	return 0;
}
