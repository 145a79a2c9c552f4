#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io.h"
#include "oci-runtime.h"
#include "socket.h"

enum { RECEIVE_MILLISECONDS = 10000 };

static const char STEP[] = "terminal";

int console_listen(const char *name, struct err *err)
{
	return socket_listen(name, err);
}

/* One message with one descriptor; its bytes are the terminal's name. */
static int receive_master(int connection, struct err *err)
{
	char name[4096];
	struct iovec part = { name, sizeof(name) };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes) };
	struct pollfd wait = { .fd = connection, .events = POLLIN };
	int master;

	if (poll(&wait, 1, RECEIVE_MILLISECONDS) < 1 || recvmsg(connection, &header, MSG_CMSG_CLOEXEC) < 0)
		return err_sys(err, STEP, "receive the master");
	struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
	if (!rights || rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS || rights->cmsg_len != CMSG_LEN(sizeof(int)))
		return err_set(err, EBADF, STEP, "the runtime sent no master");
	memcpy(&master, CMSG_DATA(rights), sizeof(master));
	return master;
}

int console_receive(int listener, const char *name, unsigned short rows, unsigned short cols, struct err *err)
{
	struct winsize size = { .ws_row = rows, .ws_col = cols };
	struct pollfd wait = { .fd = listener, .events = POLLIN };
	/* The runtime has connected before its command ended. */
	CLEANUP_CLOSE int connection = poll(&wait, 1, RECEIVE_MILLISECONDS) > 0 ? socket_accept(listener) : -1;

	unlink(name);
	if (connection < 0)
		return err_set(err, ETIMEDOUT, STEP, "the runtime did not connect to the console socket");
	int master = receive_master(connection, err);
	if (master < 0)
		return -1;
	if (!isatty(master) || fcntl(master, F_SETFL, O_NONBLOCK) < 0 || ((rows || cols) && ioctl(master, TIOCSWINSZ, &size) < 0)) {
		err_sys(err, STEP, "what the runtime sent is no usable terminal");
		close(master);
		return -1;
	}
	return master;
}
