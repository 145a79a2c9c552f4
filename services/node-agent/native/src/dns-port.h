#ifndef ATOLL_DNS_PORT_H
#define ATOLL_DNS_PORT_H

#include <stdint.h>

/*
 * Has what programs of this network namespace send to 127.0.0.11:53 arrive at the relay's `port` there, and its answers come from port 53: so
 * port 53 itself stays free for a name server of the container. Gives the descriptor that holds the rules, which go with it, or -1
 * with errno where the kernel cannot (before Linux 5.12; without nftables).
 */
int dns_port_translate(uint16_t port);

#endif
