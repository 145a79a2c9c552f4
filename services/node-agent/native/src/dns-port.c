#include "dns-port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <netinet/in.h>
#include <stddef.h>
#include <unistd.h>

#include "failpoint.h"
#include "nft-rule.h"
#include "nft.h"

/*
 * The ports in the packets themselves are rewritten, in both directions as they leave: no connection tracking is needed, which would cost
 * every packet of the container. What the container tracks or translates itself sees port 53 on both ways: questions are
 * rewritten after its own chains, answers before them.
 */
static const char TABLE[] = "atoll-dns";
static const struct nft_chain QUESTIONS = { NFPROTO_IPV4, TABLE, "questions", "filter", 300 };
static const struct nft_chain ANSWERS = { NFPROTO_IPV4, TABLE, "answers", "filter", -310 };
enum { IP_SOURCE = 12, IP_DESTINATION = 16, PORT_SOURCE = 0, PORT_DESTINATION = 2 };
enum { DNS_PORT = 53, DNS_ADDRESS = 0x7f00000b };

/* What else than UDP and TCP comes here is ICMP, which has no ports. */
static void put_protocol_match(struct nl_batch *batch)
{
	static const uint8_t icmp = IPPROTO_ICMP;

	nft_put_meta(batch, NFT_META_L4PROTO);
	nft_put_comparison(batch, NFT_CMP_NEQ, &icmp, sizeof(icmp));
}

/* The kernel keeps the checksum right, wherever the protocol has it. */
static void put_rewrite(struct nl_batch *batch, uint32_t offset, uint16_t port)
{
	uint16_t value = htons(port);

	nft_put_immediate(batch, &value, sizeof(value));
	struct nft_expression write = nft_begin_expression(batch, "payload");
	nft_put_number(batch, NFTA_PAYLOAD_SREG, NFT_REG_1);
	nft_put_place(batch, NFT_PAYLOAD_TRANSPORT_HEADER, offset, sizeof(value));
	nft_put_number(batch, NFTA_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_NONE);
	nft_put_number(batch, NFTA_PAYLOAD_CSUM_FLAGS, NFT_PAYLOAD_L4CSUM_PSEUDOHDR);
	nft_end_expression(batch, write);
}

/* One rule, one way: 20 µs of a start each. */
struct rewrite { const struct nft_chain *chain; uint32_t address, port; uint16_t from, to; };

static void put_rule(struct nl_batch *batch, const struct rewrite *rewrite)
{
	uint32_t address = htonl(DNS_ADDRESS);
	uint16_t port = htons(rewrite->from);
	size_t rule = nft_begin_rule(batch, rewrite->chain);

	/* First what nearly no packet has: the others are through after one comparison. */
	nft_put_match(batch, NFT_PAYLOAD_NETWORK_HEADER, rewrite->address, &address, sizeof(address));
	put_protocol_match(batch);
	nft_put_match(batch, NFT_PAYLOAD_TRANSPORT_HEADER, rewrite->port, &port, sizeof(port));
	put_rewrite(batch, rewrite->port, rewrite->to);
	nft_end_rule(batch, rule);
}

int dns_port_translate(uint16_t port)
{
	const struct rewrite question = { &QUESTIONS, IP_DESTINATION, PORT_DESTINATION, DNS_PORT, port };
	const struct rewrite answer = { &ANSWERS, IP_SOURCE, PORT_SOURCE, port, DNS_PORT };

	if (failpoint_is("dns.no-tables")) {
		errno = EPROTONOSUPPORT;
		return -1;
	}
	for (size_t kind = 0; kind < sizeof(nft_owner_flags) / sizeof(*nft_owner_flags); kind++) {
		struct nl_batch batch = { .length = 0 };
		int socket = nl_open_netfilter();

		if (socket < 0)
			return -1;
		nft_open_batch(&batch);
		nft_put_table(&batch, NFPROTO_IPV4, TABLE, nft_owner_flags[kind]);
		nft_put_output_chain(&batch, &QUESTIONS);
		nft_put_output_chain(&batch, &ANSWERS);
		put_rule(&batch, &question);
		put_rule(&batch, &answer);
		nft_close_batch(&batch);
		if (nl_ask(socket, &batch, NULL) == 0)
			return socket;
		int reason = errno;
		close(socket);
		errno = reason;
	}
	return -1;
}
