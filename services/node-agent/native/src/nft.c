#include "nft.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

static void put_border(struct nl_batch *batch, uint16_t type)
{
	struct nfgenmsg message = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES) };

	nl_begin_quietly(batch, type, 0, &message, sizeof(message));
}

void nft_open_batch(struct nl_batch *batch)
{
	put_border(batch, NFNL_MSG_BATCH_BEGIN);
}

/* Failures are answered in the order of the requests, so that of the last one answers for all: an earlier one would hide those after it. */
void nft_close_batch(struct nl_batch *batch)
{
	if (!batch->overflow)
		((struct nlmsghdr *)(void *)(nl_bytes(batch) + batch->current))->nlmsg_flags |= NLM_F_ACK;
	batch->count = 1;
	put_border(batch, NFNL_MSG_BATCH_END);
}

void nft_begin(struct nl_batch *batch, unsigned family, unsigned type, uint16_t flags)
{
	struct nfgenmsg message = { .nfgen_family = (uint8_t)family, .version = NFNETLINK_V0 };

	nl_begin_quietly(batch, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, &message, sizeof(message));
}

void nft_put_number(struct nl_batch *batch, uint16_t type, uint32_t value)
{
	nl_put_u32(batch, type, htonl(value));
}

void nft_put_value(struct nl_batch *batch, uint16_t type, const void *bytes, size_t size)
{
	size_t nest = nl_nest(batch, type, 0);

	nl_put(batch, NFTA_DATA_VALUE, bytes, size);
	nl_end(batch, nest);
}
