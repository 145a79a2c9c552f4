#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "commands.h"
#include "cursor.h"
#include "err.h"
#include "frame.h"
#include "io.h"
#include "nft.h"

/*
 * Changes elements of sets and maps of nftables for the agent, which else had to fork nft(8) for each published port. A request is a
 * frame of elements, carried out as one transaction; its answer is a frame REPLY with i32 0 or the kernel's errno. An element is u8 1
 * to add or 0 to delete, u8 family (NFPROTO_*), text table, text set, u8 and bytes of the key, u8 and bytes of the value (none in a
 * set), both as the kernel has them: network order, each part of a concatenation padded to four bytes. Ends with its input.
 */

static void put_element(struct nl_batch *batch, struct cursor *request)
{
	int add = (int)cursor_number(request, 1);
	uint8_t family = (uint8_t)cursor_number(request, 1);
	const char *table = cursor_text(request), *set = cursor_text(request);
	size_t key_size = (size_t)cursor_number(request, 1);
	const uint8_t *key = cursor_bytes(request, key_size);
	size_t value_size = (size_t)cursor_number(request, 1);
	const uint8_t *value = cursor_bytes(request, value_size);

	if (request->bad)
		return;
	nft_begin(batch, family, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, add ? NLM_F_CREATE : 0);
	nl_put_text(batch, NFTA_SET_ELEM_LIST_TABLE, table);
	nl_put_text(batch, NFTA_SET_ELEM_LIST_SET, set);
	size_t elements = nl_nest(batch, NFTA_SET_ELEM_LIST_ELEMENTS, 0), element = nl_nest(batch, NFTA_LIST_ELEM, 0);
	nft_put_value(batch, NFTA_SET_ELEM_KEY, key, key_size);
	if (add && value_size > 0)
		nft_put_value(batch, NFTA_SET_ELEM_DATA, value, value_size);
	nl_end(batch, element);
	nl_end(batch, elements);
}

/*
 * The one socket: closing it after a deletion would wait for a grace period of all processors, 10 ms. What else failed of an earlier
 * transaction is in it, and is no answer to the next.
 */
static int ready_socket(void)
{
	static int netlink = -1;
	char rest[4096];

	if (netlink < 0)
		netlink = nl_open_netfilter();
	else
		while (recv(netlink, rest, sizeof(rest), MSG_DONTWAIT) > 0)
			;
	return netlink;
}

/* 0 or an errno. */
static int change(const struct frame *frame)
{
	static struct nl_batch batch;
	struct cursor request = { frame->payload, frame->payload + frame->length, 0 };
	int netlink = ready_socket();

	if (netlink < 0)
		return errno;
	batch.length = batch.count = 0;
	batch.overflow = 0;
	nft_open_batch(&batch);
	while (!request.bad && request.at < request.end)
		put_element(&batch, &request);
	if (request.bad || batch.current == 0)
		return EINVAL;
	nft_close_batch(&batch);
	return nl_ask(netlink, &batch, NULL) < 0 ? errno : 0;
}

static void serve(void)
{
	for (;;) {
		uint8_t answer[FRAME_HEADER + 4];
		struct frame request;
		struct err ended;

		if (frame_read(0, &request, FRAME_MAX, &ended) < 0)
			return;
		uint32_t code = (uint32_t)change(&request);
		free(request.payload);
		frame_header(answer, FRAME_REPLY, 4);
		for (int byte = 0; byte < 4; byte++)
			answer[FRAME_HEADER + byte] = (uint8_t)(code >> (8 * byte));
		if (write_all(1, answer, sizeof(answer)) < 0)
			return;
	}
}

int command_change_elements(int argc, char **argv)
{
	struct err err = { 0 };

	(void)argv;
	if (argc == 0) {
		serve();
		return 0;
	}
	err_set(&err, EINVAL, "arguments", "usage: atoll-shim change-elements");
	err_report(&err, 2);
	return 1;
}
