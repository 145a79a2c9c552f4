#include "address-binding.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io.h"
#include "nft.h"

/* Keys of the sets: the port's name, hardware address, address, each in whole words. */
enum { MAC_AT = IF_NAMESIZE, IP_AT = IF_NAMESIZE + 8, KEY4 = IP_AT + 4, KEY6 = IP_AT + 16 };

static void put_element(struct nl_batch *batch, const struct network_plan *link, const uint8_t *address, size_t size)
{
	uint8_t key[KEY6] = { 0 };

	snprintf((char *)key, IF_NAMESIZE, "%s", link->host_interface);
	memcpy(key + MAC_AT, link->mac, sizeof(link->mac));
	memcpy(key + IP_AT, address, size);
	size_t element = nl_nest(batch, NFTA_LIST_ELEM, 0);
	nft_put_value(batch, NFTA_SET_ELEM_KEY, key, IP_AT + size);
	nl_end(batch, element);
}

static size_t begin_elements(struct nl_batch *batch, const char *table, const char *set)
{
	nft_begin(batch, NFPROTO_BRIDGE, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
	nl_put_text(batch, NFTA_SET_ELEM_LIST_TABLE, table);
	nl_put_text(batch, NFTA_SET_ELEM_LIST_SET, set);
	return nl_nest(batch, NFTA_SET_ELEM_LIST_ELEMENTS, 0);
}

static size_t put_addresses(struct nl_batch *batch, const struct endpoint_plan *endpoint, int family)
{
	size_t count = 0;

	for (size_t index = 0; index < endpoint->address_count; index++) {
		const struct ip_plan *ip = &endpoint->addresses[index];

		if (ip->family != family)
			continue;
		put_element(batch, &endpoint->link, ip->bytes, family == AF_INET ? 4 : 16);
		count++;
	}
	return count;
}

/* The link-local address the kernel makes of the hardware address (EUI-64, RFC 4291). */
static void put_link_local(struct nl_batch *batch, const struct network_plan *link)
{
	const uint8_t *mac = link->mac;
	const uint8_t address[16] = { 0xfe, 0x80, [8] = mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5] };

	put_element(batch, link, address, sizeof(address));
}

int binding_admit(const char *table, const struct endpoint_plan *endpoint, struct err *err)
{
	struct nl_batch batch = { .length = 0 };
	CLEANUP_CLOSE int socket = nl_open_netfilter();

	if (socket < 0)
		return err_sys(err, "network", "open netfilter");
	nft_open_batch(&batch);
	size_t list = begin_elements(&batch, table, "ipv4");
	put_addresses(&batch, endpoint, AF_INET);
	nl_end(&batch, list);
	list = begin_elements(&batch, table, "ipv6");
	if (put_addresses(&batch, endpoint, AF_INET6) > 0)
		put_link_local(&batch, &endpoint->link);
	nl_end(&batch, list);
	nft_close_batch(&batch);
	if (nl_ask(socket, &batch, NULL) == 0 || errno == ENOENT || errno == EOPNOTSUPP || errno == EPROTONOSUPPORT)
		return 0;
	return err_sys(err, "network", "bind the addresses of %s", endpoint->link.host_interface);
}
