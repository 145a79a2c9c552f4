#ifndef ATOLL_DNS_SOCKETS_H
#define ATOLL_DNS_SOCKETS_H

/* Where programs of a container ask for names. */
struct dns_sockets {
	int datagrams, listener;
	int rules; /* that lead port 53 to them; -1: they are at port 53 themselves */
};

/*
 * Opens them in this process's network namespace; 0, or -1 with errno. Where the kernel translates the port, port 53 stays free for
 * a name server of the container.
 */
int dns_sockets_open(struct dns_sockets *sockets);
void dns_sockets_init(struct dns_sockets *sockets);
void dns_sockets_close(struct dns_sockets *sockets);

#endif
