#include "socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <stdio.h>
#include <unistd.h>

int socket_listen(const char *name, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
	unlink(address.sun_path);
	mode_t before = umask(0177);
	int failed = listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 128) < 0;
	umask(before);
	if (!failed)
		return listener;
	err_sys(err, "control socket", "%s", name);
	if (listener >= 0)
		close(listener);
	return -1;
}

int socket_accept(int listener)
{
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);
	int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (connection >= 0 && (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid != geteuid())) {
		close(connection);
		return -1;
	}
	return connection;
}

int socket_wait_hang_up(int connection, int milliseconds)
{
	struct pollfd wait = { .fd = connection, .events = POLLRDHUP };

	return poll(&wait, 1, milliseconds) > 0 && (wait.revents & (POLLRDHUP | POLLHUP | POLLERR));
}
