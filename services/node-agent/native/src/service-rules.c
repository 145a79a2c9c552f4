#include "service-rules.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "failpoint.h"
#include "nft-rule.h"
#include "nft.h"

/* The place of translation of what a host sends (NF_IP_PRI_NAT_DST). */
static const struct nft_chain CHAIN = { NFPROTO_INET, "atoll-services", "translate", "nat", -100 };
enum { IPV4_DESTINATION = 16, IPV6_DESTINATION = 24, FRAME_BYTES = 4096 };

/* One packet of so many goes on from here. */
static void put_chance(struct nl_batch *batch, uint32_t of)
{
	static const uint32_t drawn = 0;
	struct nft_expression draw = nft_begin_expression(batch, "numgen");

	nft_put_number(batch, NFTA_NG_DREG, NFT_REG_1);
	nft_put_number(batch, NFTA_NG_MODULUS, of);
	nft_put_number(batch, NFTA_NG_TYPE, NFT_NG_RANDOM);
	nft_end_expression(batch, draw);
	nft_put_comparison(batch, NFT_CMP_EQ, &drawn, sizeof(drawn));
}

static void put_translation(struct nl_batch *batch, uint8_t family, const uint8_t *address, size_t length)
{
	nft_put_immediate(batch, address, length);
	struct nft_expression nat = nft_begin_expression(batch, "nat");
	nft_put_number(batch, NFTA_NAT_TYPE, NFT_NAT_DNAT);
	nft_put_number(batch, NFTA_NAT_FAMILY, family);
	nft_put_number(batch, NFTA_NAT_REG_ADDR_MIN, NFT_REG_1);
	nft_end_expression(batch, nat);
}

/* Of N backends the first takes one connection of N, the second one of N-1 of the rest, the last all that is left. */
static void put_service(struct nl_batch *batch, const struct service *service)
{
	size_t length = service->address_length;
	uint8_t family = length == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6;

	for (size_t index = 0; index < service->count; index++) {
		size_t rule = nft_begin_rule(batch, &CHAIN);

		nft_put_meta(batch, NFT_META_NFPROTO);
		nft_put_comparison(batch, NFT_CMP_EQ, &family, sizeof(family));
		nft_put_match(batch, NFT_PAYLOAD_NETWORK_HEADER, length == 4 ? IPV4_DESTINATION : IPV6_DESTINATION, service->address, length);
		if (service->count - index > 1)
			put_chance(batch, (uint32_t)(service->count - index));
		put_translation(batch, family, service->backends + index * length, length);
		nft_end_rule(batch, rule);
	}
}

void service_rules_put(struct nl_batch *batch, const struct service_list *list)
{
	for (size_t index = 0; index < list->count; index++)
		put_service(batch, &list->services[index]);
}

static void put_removal(struct nl_batch *batch, unsigned type, uint16_t name)
{
	nft_begin(batch, CHAIN.family, type, 0);
	nl_put_text(batch, name, CHAIN.table);
}

/* What failed of an earlier transaction is no answer to the next. */
static int ask(int owner, struct nl_batch *batch)
{
	char rest[1024];
	int room = (int)batch->length + FRAME_BYTES;

	while (recv(owner, rest, sizeof(rest), MSG_DONTWAIT) > 0)
		;
	/* A transaction is one message, which may be longer than what a socket holds by default. */
	setsockopt(owner, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	nft_close_batch(batch);
	return nl_ask(owner, batch, NULL);
}

static int replace(struct service_rules *rules, const struct service_list *list, struct nl_batch *batch, uint32_t flags)
{
	batch->length = batch->count = 0;
	batch->overflow = 0;
	nft_open_batch(batch);
	if (rules->present) {
		put_removal(batch, NFT_MSG_DELRULE, NFTA_RULE_TABLE);
		nl_put_text(batch, NFTA_RULE_CHAIN, CHAIN.name);
	} else {
		nft_put_table(batch, CHAIN.family, CHAIN.table, flags);
		nft_put_output_chain(batch, &CHAIN);
	}
	service_rules_put(batch, list);
	return ask(rules->owner, batch);
}

/* The socket stays: to close it would wait for what the kernel does after a deletion, 10 ms. */
static int take_away(struct service_rules *rules)
{
	struct nl_batch batch = { .length = 0 };

	if (!rules->present)
		return 0;
	nft_open_batch(&batch);
	put_removal(&batch, NFT_MSG_DELTABLE, NFTA_TABLE_NAME);
	if (ask(rules->owner, &batch) < 0)
		return -1;
	rules->present = 0;
	return 0;
}

static size_t room_for(const struct service_list *list)
{
	size_t room = FRAME_BYTES;

	for (size_t index = 0; index < list->count; index++)
		room += list->services[index].count * SERVICE_RULE_BYTES;
	return room;
}

int service_rules_apply(struct service_rules *rules, const struct service_list *list)
{
	struct nl_batch batch = { .room = room_for(list) };
	int result = -1, reason = 0;

	if (list->count == 0)
		return take_away(rules);
	if (failpoint_is("services.no-tables")) {
		errno = EPROTONOSUPPORT;
		return -1;
	}
	if (rules->owner < 0 && (rules->owner = nl_open_netfilter()) < 0)
		return -1;
	/* Given back as a whole: the shim stays as small as it was. */
	batch.larger = mmap(NULL, batch.room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (batch.larger == MAP_FAILED)
		return -1;
	for (size_t kind = 0; result < 0 && kind < sizeof(nft_owner_flags) / sizeof(*nft_owner_flags); kind++) {
		result = replace(rules, list, &batch, nft_owner_flags[kind]);
		reason = errno;
		if (rules->present)
			break;
	}
	munmap(batch.larger, batch.room);
	if (result == 0)
		rules->present = 1;
	errno = reason;
	return result;
}

void service_rules_close(struct service_rules *rules)
{
	if (rules->owner >= 0)
		close(rules->owner);
	*rules = (struct service_rules){ .owner = -1 };
}
