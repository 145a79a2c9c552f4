#include "dns-sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dns-port.h"

enum { DNS_PORT = 53, BACKLOG = 16 };
/* Assigned to nothing: no program of a container wants them. A second, for it may run when it is connected. */
static const uint16_t UNUSED[] = { 8, 10 };

/*
 * At Docker's address. At port 53 itself a program of the container may have the port on all addresses only if it shares
 * (SO_REUSEPORT), as some name servers do.
 */
static int open_socket(int type, uint16_t port)
{
	static const int yes = 1;
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(0x7f00000b) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
	    (port != DNS_PORT || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) == 0) &&
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && (type == SOCK_DGRAM || listen(fd, BACKLOG) == 0))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int listen_at(struct dns_sockets *sockets, uint16_t port)
{
	sockets->datagrams = open_socket(SOCK_DGRAM, port);
	sockets->listener = sockets->datagrams < 0 ? -1 : open_socket(SOCK_STREAM, port);
	if (sockets->listener >= 0)
		return 0;
	dns_sockets_close(sockets);
	return -1;
}

int dns_sockets_open(struct dns_sockets *sockets)
{
	for (size_t index = 0; index < sizeof(UNUSED) / sizeof(*UNUSED); index++) {
		if (listen_at(sockets, UNUSED[index]) < 0)
			continue;
		sockets->rules = dns_port_translate(UNUSED[index]);
		if (sockets->rules >= 0)
			return 0;
		dns_sockets_close(sockets);
		break;
	}
	return listen_at(sockets, DNS_PORT);
}

void dns_sockets_init(struct dns_sockets *sockets)
{
	*sockets = (struct dns_sockets){ -1, -1, -1 };
}

void dns_sockets_close(struct dns_sockets *sockets)
{
	const int all[] = { sockets->datagrams, sockets->listener, sockets->rules };

	for (size_t index = 0; index < sizeof(all) / sizeof(*all); index++)
		if (all[index] >= 0)
			close(all[index]);
	dns_sockets_init(sockets);
}
