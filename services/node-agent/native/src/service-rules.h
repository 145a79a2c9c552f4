#ifndef ATOLL_SERVICE_RULES_H
#define ATOLL_SERVICE_RULES_H

#include "netlink.h"
#include "service-list.h"

/*
 * The table `inet atoll-services` of a container's network namespace: what its programs send to a service's address goes on to one of the
 * service's containers, chosen at random for each connection. Translated where it leaves, a packet has the asking container's own
 * address, and answers need no other way back.
 */
struct service_rules {
	int owner;   /* netlink socket the table belongs to; -1: never needed */
	int present; /* there is a table */
};

/*
 * Brings the table to the list, all of it in one transaction; an empty list has none, for it has the kernel track connections. The first
 * time this process has to be in the container's namespace. 0, or -1 with errno: the rules are as before.
 */
int service_rules_apply(struct service_rules *rules, const struct service_list *list);
/* The rules stay as long as the namespace where the kernel can do that. */
void service_rules_close(struct service_rules *rules);

/* Puts the rules of a list into a transaction, `SERVICE_RULE_BYTES` for each backend at most. */
enum { SERVICE_RULE_BYTES = 512 };
void service_rules_put(struct nl_batch *batch, const struct service_list *list);

#endif
