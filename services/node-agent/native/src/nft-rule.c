#include "nft-rule.h"

#include <linux/netfilter.h>

#include "nft.h"

const uint32_t nft_owner_flags[2] = { NFT_TABLE_F_OWNER | NFT_TABLE_PERSISTS, NFT_TABLE_F_OWNER };

void nft_put_table(struct nl_batch *batch, unsigned family, const char *name, uint32_t flags)
{
	nft_begin(batch, family, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
	nl_put_text(batch, NFTA_TABLE_NAME, name);
	nft_put_number(batch, NFTA_TABLE_FLAGS, flags);
}

void nft_put_output_chain(struct nl_batch *batch, const struct nft_chain *chain)
{
	nft_begin(batch, chain->family, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	nl_put_text(batch, NFTA_CHAIN_TABLE, chain->table);
	nl_put_text(batch, NFTA_CHAIN_NAME, chain->name);
	size_t hook = nl_nest(batch, NFTA_CHAIN_HOOK, 0);
	nft_put_number(batch, NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_OUT);
	nft_put_number(batch, NFTA_HOOK_PRIORITY, (uint32_t)chain->priority);
	nl_end(batch, hook);
	nl_put_text(batch, NFTA_CHAIN_TYPE, chain->type);
}

size_t nft_begin_rule(struct nl_batch *batch, const struct nft_chain *chain)
{
	nft_begin(batch, chain->family, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	nl_put_text(batch, NFTA_RULE_TABLE, chain->table);
	nl_put_text(batch, NFTA_RULE_CHAIN, chain->name);
	return nl_nest(batch, NFTA_RULE_EXPRESSIONS, 0);
}

void nft_end_rule(struct nl_batch *batch, size_t rule)
{
	nl_end(batch, rule);
}

struct nft_expression nft_begin_expression(struct nl_batch *batch, const char *name)
{
	struct nft_expression expression = { .element = nl_nest(batch, NFTA_LIST_ELEM, 0) };

	nl_put_text(batch, NFTA_EXPR_NAME, name);
	expression.data = nl_nest(batch, NFTA_EXPR_DATA, 0);
	return expression;
}

void nft_end_expression(struct nl_batch *batch, struct nft_expression expression)
{
	nl_end(batch, expression.data);
	nl_end(batch, expression.element);
}

void nft_put_meta(struct nl_batch *batch, enum nft_meta_keys key)
{
	struct nft_expression load = nft_begin_expression(batch, "meta");

	nft_put_number(batch, NFTA_META_DREG, NFT_REG_1);
	nft_put_number(batch, NFTA_META_KEY, key);
	nft_end_expression(batch, load);
}

void nft_put_comparison(struct nl_batch *batch, enum nft_cmp_ops operation, const void *bytes, size_t size)
{
	struct nft_expression expression = nft_begin_expression(batch, "cmp");

	nft_put_number(batch, NFTA_CMP_SREG, NFT_REG_1);
	nft_put_number(batch, NFTA_CMP_OP, operation);
	nft_put_value(batch, NFTA_CMP_DATA, bytes, size);
	nft_end_expression(batch, expression);
}

void nft_put_place(struct nl_batch *batch, enum nft_payload_bases base, uint32_t offset, uint32_t size)
{
	nft_put_number(batch, NFTA_PAYLOAD_BASE, base);
	nft_put_number(batch, NFTA_PAYLOAD_OFFSET, offset);
	nft_put_number(batch, NFTA_PAYLOAD_LEN, size);
}

void nft_put_match(struct nl_batch *batch, enum nft_payload_bases base, uint32_t offset, const void *bytes, size_t size)
{
	struct nft_expression load = nft_begin_expression(batch, "payload");

	nft_put_number(batch, NFTA_PAYLOAD_DREG, NFT_REG_1);
	nft_put_place(batch, base, offset, (uint32_t)size);
	nft_end_expression(batch, load);
	nft_put_comparison(batch, NFT_CMP_EQ, bytes, size);
}

void nft_put_immediate(struct nl_batch *batch, const void *bytes, size_t size)
{
	struct nft_expression load = nft_begin_expression(batch, "immediate");

	nft_put_number(batch, NFTA_IMMEDIATE_DREG, NFT_REG_1);
	nft_put_value(batch, NFTA_IMMEDIATE_DATA, bytes, size);
	nft_end_expression(batch, load);
}
