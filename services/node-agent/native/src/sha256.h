#ifndef ATOLL_SHA256_H
#define ATOLL_SHA256_H

#include <stddef.h>
#include <stdint.h>

/* FIPS 180-4. Uses the processor's SHA extensions where there are any. */
struct sha256 {
	uint32_t state[8];
	uint64_t total;
	uint8_t block[64];
	size_t used;
	int has_extension;
};

void sha256_init(struct sha256 *hash);
void sha256_update(struct sha256 *hash, const void *bytes, size_t length);
/* Writes 64 hexadecimal digits and a zero. */
void sha256_finish(struct sha256 *hash, char *hex);

#endif
