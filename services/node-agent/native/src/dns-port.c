#include "dns-port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "failpoint.h"
#include "nft.h"

/*
 * The ports in the packets themselves are rewritten, in both directions as they leave: no connection tracking is needed, which would cost
 * every packet of the container. What the container tracks or translates itself sees port 53 on both ways: questions are
 * rewritten after its own chains, answers before them.
 */
static const char TABLE[] = "atoll-dns", QUESTIONS[] = "questions", ANSWERS[] = "answers";
enum { AFTER_ALL = 300, BEFORE_ALL = -310 };
enum { IP_SOURCE = 12, IP_DESTINATION = 16, PORT_SOURCE = 0, PORT_DESTINATION = 2 };
enum { DNS_PORT = 53, DNS_ADDRESS = 0x7f00000b };

#ifndef NFT_TABLE_F_OWNER
#define NFT_TABLE_F_OWNER 0x2
#endif
/* Linux 6.9. The owner's end leaves the table to the namespace's, without a wait for all processors. */
enum { TABLE_PERSISTS = 0x4 };

/* Its owner's alone: `nft flush ruleset` of somebody who may, in the container, leaves it. */
static void put_table(struct nl_batch *batch, uint32_t flags)
{
	nft_begin(batch, NFPROTO_IPV4, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
	nl_put_text(batch, NFTA_TABLE_NAME, TABLE);
	nft_put_number(batch, NFTA_TABLE_FLAGS, flags);
}

static void put_chain(struct nl_batch *batch, const char *chain, int priority)
{
	nft_begin(batch, NFPROTO_IPV4, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	nl_put_text(batch, NFTA_CHAIN_TABLE, TABLE);
	nl_put_text(batch, NFTA_CHAIN_NAME, chain);
	size_t hook = nl_nest(batch, NFTA_CHAIN_HOOK, 0);
	nft_put_number(batch, NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_OUT);
	nft_put_number(batch, NFTA_HOOK_PRIORITY, (uint32_t)priority);
	nl_end(batch, hook);
	nl_put_text(batch, NFTA_CHAIN_TYPE, "filter");
}

struct expression { size_t element, data; };

static struct expression begin_expression(struct nl_batch *batch, const char *name)
{
	struct expression expression = { .element = nl_nest(batch, NFTA_LIST_ELEM, 0) };

	nl_put_text(batch, NFTA_EXPR_NAME, name);
	expression.data = nl_nest(batch, NFTA_EXPR_DATA, 0);
	return expression;
}

static void end_expression(struct nl_batch *batch, struct expression expression)
{
	nl_end(batch, expression.data);
	nl_end(batch, expression.element);
}

/* Whether the rule goes on with what was loaded. */
static void put_comparison(struct nl_batch *batch, enum nft_cmp_ops operation, const void *bytes, size_t size)
{
	struct expression expression = begin_expression(batch, "cmp");

	nft_put_number(batch, NFTA_CMP_SREG, NFT_REG_1);
	nft_put_number(batch, NFTA_CMP_OP, operation);
	nft_put_value(batch, NFTA_CMP_DATA, bytes, size);
	end_expression(batch, expression);
}

static void put_place(struct nl_batch *batch, enum nft_payload_bases base, uint32_t offset, uint32_t size)
{
	nft_put_number(batch, NFTA_PAYLOAD_BASE, base);
	nft_put_number(batch, NFTA_PAYLOAD_OFFSET, offset);
	nft_put_number(batch, NFTA_PAYLOAD_LEN, size);
}

static void put_match(struct nl_batch *batch, enum nft_payload_bases base, uint32_t offset, const void *bytes, size_t size)
{
	struct expression load = begin_expression(batch, "payload");

	nft_put_number(batch, NFTA_PAYLOAD_DREG, NFT_REG_1);
	put_place(batch, base, offset, (uint32_t)size);
	end_expression(batch, load);
	put_comparison(batch, NFT_CMP_EQ, bytes, size);
}

/* What else than UDP and TCP comes here is ICMP, which has no ports. */
static void put_protocol_match(struct nl_batch *batch)
{
	static const uint8_t icmp = IPPROTO_ICMP;
	struct expression load = begin_expression(batch, "meta");

	nft_put_number(batch, NFTA_META_DREG, NFT_REG_1);
	nft_put_number(batch, NFTA_META_KEY, NFT_META_L4PROTO);
	end_expression(batch, load);
	put_comparison(batch, NFT_CMP_NEQ, &icmp, sizeof(icmp));
}

/* The kernel keeps the checksum right, wherever the protocol has it. */
static void put_rewrite(struct nl_batch *batch, uint32_t offset, uint16_t port)
{
	uint16_t value = htons(port);
	struct expression load = begin_expression(batch, "immediate");

	nft_put_number(batch, NFTA_IMMEDIATE_DREG, NFT_REG_1);
	nft_put_value(batch, NFTA_IMMEDIATE_DATA, &value, sizeof(value));
	end_expression(batch, load);
	struct expression write = begin_expression(batch, "payload");
	nft_put_number(batch, NFTA_PAYLOAD_SREG, NFT_REG_1);
	put_place(batch, NFT_PAYLOAD_TRANSPORT_HEADER, offset, sizeof(value));
	nft_put_number(batch, NFTA_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_NONE);
	nft_put_number(batch, NFTA_PAYLOAD_CSUM_FLAGS, NFT_PAYLOAD_L4CSUM_PSEUDOHDR);
	end_expression(batch, write);
}

/* One rule, one way: 20 µs of a start each. */
struct rewrite { const char *chain; uint32_t address, port; uint16_t from, to; };

static void put_rule(struct nl_batch *batch, const struct rewrite *rewrite)
{
	uint32_t address = htonl(DNS_ADDRESS);
	uint16_t port = htons(rewrite->from);

	nft_begin(batch, NFPROTO_IPV4, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	nl_put_text(batch, NFTA_RULE_TABLE, TABLE);
	nl_put_text(batch, NFTA_RULE_CHAIN, rewrite->chain);
	size_t expressions = nl_nest(batch, NFTA_RULE_EXPRESSIONS, 0);
	/* First what nearly no packet has: the others are through after one comparison. */
	put_match(batch, NFT_PAYLOAD_NETWORK_HEADER, rewrite->address, &address, sizeof(address));
	put_protocol_match(batch);
	put_match(batch, NFT_PAYLOAD_TRANSPORT_HEADER, rewrite->port, &port, sizeof(port));
	put_rewrite(batch, rewrite->port, rewrite->to);
	nl_end(batch, expressions);
}

int dns_port_translate(uint16_t port)
{
	static const uint32_t kinds[] = { NFT_TABLE_F_OWNER | TABLE_PERSISTS, NFT_TABLE_F_OWNER };
	const struct rewrite question = { QUESTIONS, IP_DESTINATION, PORT_DESTINATION, DNS_PORT, port };
	const struct rewrite answer = { ANSWERS, IP_SOURCE, PORT_SOURCE, port, DNS_PORT };

	if (failpoint_is("dns.no-tables")) {
		errno = EPROTONOSUPPORT;
		return -1;
	}
	for (size_t kind = 0; kind < sizeof(kinds) / sizeof(*kinds); kind++) {
		struct nl_batch batch = { .length = 0 };
		int socket = nl_open_netfilter();

		if (socket < 0)
			return -1;
		nft_open_batch(&batch);
		put_table(&batch, kinds[kind]);
		put_chain(&batch, QUESTIONS, AFTER_ALL);
		put_chain(&batch, ANSWERS, BEFORE_ALL);
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
