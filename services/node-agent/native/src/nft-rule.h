#ifndef ATOLL_NFT_RULE_H
#define ATOLL_NFT_RULE_H

#include <linux/netfilter/nf_tables.h>
#include <stddef.h>
#include <stdint.h>

#include "netlink.h"

/*
 * Tables, chains and rules as they are put into an nftables transaction (nft.h). Rules work on register 1: what was put there last,
 * a comparison looks at.
 */

#ifndef NFT_TABLE_F_OWNER
#define NFT_TABLE_F_OWNER 0x2
#endif
/* Linux 6.9. The owner's end leaves the table to the namespace's, without a wait for all processors. */
enum { NFT_TABLE_PERSISTS = 0x4 };
/* Flags of a table that is its owner's alone, best first: `nft flush ruleset` of somebody who may, in the container, leaves it. */
extern const uint32_t nft_owner_flags[2];

struct nft_chain {
	unsigned family;
	const char *table, *name, *type;
	int priority; /* at hook output */
};

void nft_put_table(struct nl_batch *batch, unsigned family, const char *name, uint32_t flags);
void nft_put_output_chain(struct nl_batch *batch, const struct nft_chain *chain);
/* Begins a rule at the end of the chain; what is put from here on are its expressions, up to `nft_end_rule` with the answer. */
size_t nft_begin_rule(struct nl_batch *batch, const struct nft_chain *chain);
void nft_end_rule(struct nl_batch *batch, size_t rule);

/* The nest of an expression's attributes, inside that of the expression itself. */
struct nft_expression { size_t element, data; };
struct nft_expression nft_begin_expression(struct nl_batch *batch, const char *name);
void nft_end_expression(struct nl_batch *batch, struct nft_expression expression);

void nft_put_meta(struct nl_batch *batch, enum nft_meta_keys key);
void nft_put_comparison(struct nl_batch *batch, enum nft_cmp_ops operation, const void *bytes, size_t size);
/* Goes on when the packet has these bytes there. */
void nft_put_match(struct nl_batch *batch, enum nft_payload_bases base, uint32_t offset, const void *bytes, size_t size);
void nft_put_place(struct nl_batch *batch, enum nft_payload_bases base, uint32_t offset, uint32_t size);
void nft_put_immediate(struct nl_batch *batch, const void *bytes, size_t size);

#endif
