#include "announce.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io.h"

/* RFC 826 for IPv4 on Ethernet. */
struct arp_message {
	uint16_t hardware, protocol;
	uint8_t hardware_size, protocol_size;
	uint16_t operation;
	uint8_t sender_mac[6], sender[4], target_mac[6], target[4];
} __attribute__((packed));

/* RFC 4861: an advertisement with the link-layer address of its target. */
struct advertisement {
	struct nd_neighbor_advert header;
	uint8_t option, option_words, mac[6];
} __attribute__((packed));

/* An announcement of RFC 5227: it asks for the sender's own address. */
static void send_arp(int socket, const uint8_t *mac, const uint8_t *address, unsigned index)
{
	struct sockaddr_ll everybody = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP), .sll_ifindex = (int)index, .sll_halen = 6,
		.sll_addr = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
	};
	struct arp_message message = {
		.hardware = htons(ARPHRD_ETHER), .protocol = htons(ETH_P_IP), .hardware_size = 6, .protocol_size = 4,
		.operation = htons(ARPOP_REQUEST),
	};

	memcpy(message.sender_mac, mac, 6);
	memcpy(message.sender, address, 4);
	memcpy(message.target, address, 4);
	sendto(socket, &message, sizeof(message), 0, (struct sockaddr *)&everybody, sizeof(everybody));
}

static void send_advertisement(const uint8_t *mac, const uint8_t *address, unsigned index)
{
	struct sockaddr_in6 own = { .sin6_family = AF_INET6, .sin6_scope_id = index };
	struct sockaddr_in6 everybody = {
		.sin6_family = AF_INET6, .sin6_scope_id = index, .sin6_addr.s6_addr = { 0xff, 0x02, [15] = 1 },
	};
	struct advertisement message = {
		.header.nd_na_type = ND_NEIGHBOR_ADVERT, .header.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE,
		.option = ND_OPT_TARGET_LINKADDR, .option_words = 1,
	};
	static const int hops = 255;
	CLEANUP_CLOSE int raw = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);

	memcpy(&own.sin6_addr, address, 16);
	memcpy(&message.header.nd_na_target, address, 16);
	memcpy(message.mac, mac, 6);
	if (raw < 0 || setsockopt(raw, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) < 0)
		return;
	/* The kernel fills in the checksum. */
	if (bind(raw, (struct sockaddr *)&own, sizeof(own)) == 0)
		sendto(raw, &message, sizeof(message), MSG_DONTWAIT, (struct sockaddr *)&everybody, sizeof(everybody));
}

void announce_addresses(const struct endpoint_plan *endpoint, int netns, unsigned index)
{
	CLEANUP_CLOSE int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (home < 0 || setns(netns, CLONE_NEWNET) < 0)
		return;
	/* Protocol 0: it gets no packets. */
	CLEANUP_CLOSE int packets = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (size_t at = 0; at < endpoint->address_count; at++) {
		const struct ip_plan *ip = &endpoint->addresses[at];

		if (ip->family == AF_INET6)
			send_advertisement(endpoint->link.mac, ip->bytes, index);
		else if (packets >= 0)
			send_arp(packets, endpoint->link.mac, ip->bytes, index);
	}
	/* Whatever goes on here would happen to the container's network: better not at all. */
	if (setns(home, CLONE_NEWNET) < 0)
		abort();
}
