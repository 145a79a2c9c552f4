#include "sync.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int sync_pair(int *shim, int *child, struct err *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "start child", "socketpair");
	*shim = pair[0];
	*child = pair[1];
	return 0;
}

int sync_send(int socket, enum sync_kind kind, const struct err *failure, int fd)
{
	struct sync_message message;
	struct iovec part = { &message, failure ? sizeof(message) : sizeof(message.kind) };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };

	memset(&message, 0, sizeof(message));
	message.kind = kind;
	if (failure)
		message.err = *failure;
	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		header.msg_control = control.bytes;
		header.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
	}
	ssize_t count;
	do
		count = sendmsg(socket, &header, MSG_NOSIGNAL);
	while (count < 0 && errno == EINTR);
	return count < 0 ? -1 : 0;
}

int sync_receive(int socket, struct sync_message *message, int *fd)
{
	struct iovec part = { message, sizeof(*message) };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr header = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes),
	};

	if (fd)
		*fd = -1;
	memset(message, 0, sizeof(*message));
	ssize_t count;
	int resets = 0;
	/* A peer that ends before it has read all is told of first, once; what it had said itself comes after. */
	do
		count = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
	while (count < 0 && (errno == EINTR || (errno == ECONNRESET && resets++ == 0)));
	if (count <= 0)
		return count < 0 && errno != ECONNRESET ? -1 : 0;
	message->err.step[sizeof(message->err.step) - 1] = '\0';
	message->err.text[sizeof(message->err.text) - 1] = '\0';
	struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
	if (rights && rights->cmsg_type == SCM_RIGHTS) {
		int received;

		memcpy(&received, CMSG_DATA(rights), sizeof(received));
		if (fd)
			*fd = received;
		else
			close(received);
	}
	return 1;
}
