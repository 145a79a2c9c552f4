#ifndef ATOLL_NFT_H
#define ATOLL_NFT_H

#include <stddef.h>
#include <stdint.h>

#include "netlink.h"

/* Requests to nftables, carried out as one transaction between `nft_open_batch` and `nft_close_batch`. Numbers are in network order there. */
void nft_open_batch(struct nl_batch *batch);
void nft_close_batch(struct nl_batch *batch);
/* The next request, NFT_MSG_*, for the tables of a family. */
void nft_begin(struct nl_batch *batch, unsigned family, unsigned type, uint16_t flags);
void nft_put_number(struct nl_batch *batch, uint16_t type, uint32_t value);
/* An attribute of kind NFTA_DATA_VALUE in one of this type. */
void nft_put_value(struct nl_batch *batch, uint16_t type, const void *bytes, size_t size);

#endif
