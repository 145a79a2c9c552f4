#include "sha256.h"

#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

static const uint32_t K[64] __attribute__((aligned(16))) = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t value, int by)
{
	return value >> by | value << (32 - by);
}

static void compress_plain(uint32_t *state, const uint8_t *bytes, size_t blocks)
{
	uint32_t w[64], v[8];

	for (; blocks > 0; blocks--, bytes += 64) {
		for (int i = 0; i < 16; i++)
			w[i] = (uint32_t)bytes[4 * i] << 24 | (uint32_t)bytes[4 * i + 1] << 16 | (uint32_t)bytes[4 * i + 2] << 8 | bytes[4 * i + 3];
		for (int i = 16; i < 64; i++) {
			uint32_t a = w[i - 15], b = w[i - 2];

			w[i] = w[i - 16] + w[i - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
		}
		memcpy(v, state, sizeof(v));
		for (int i = 0; i < 64; i++) {
			uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
			uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + K[i] + w[i];
			uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
			uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

			memmove(v + 1, v, 7 * sizeof(*v));
			v[4] += t1;
			v[0] = t1 + t2;
		}
		for (int i = 0; i < 8; i++)
			state[i] += v[i];
	}
}

#if defined(__x86_64__)
__attribute__((target("sha,sse4.1,ssse3")))
static void compress_extension(uint32_t *state, const uint8_t *bytes, size_t blocks)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bll, 0x0405060700010203ll);
	/* The instructions keep the state as ABEF and CDGH. */
	__m128i low = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)state), 0xb1);
	__m128i high = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)(state + 4)), 0x1b);
	__m128i abef = _mm_alignr_epi8(low, high, 8);
	__m128i cdgh = _mm_blend_epi16(high, low, 0xf0);

	for (; blocks > 0; blocks--, bytes += 64) {
		__m128i before_abef = abef, before_cdgh = cdgh, w[4];

#pragma GCC unroll 16
		for (int i = 0; i < 16; i++) {
			if (i < 4) {
				w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(bytes + 16 * i)), swap);
			} else {
				__m128i part = _mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]);

				part = _mm_add_epi32(part, _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
				w[i & 3] = _mm_sha256msg2_epu32(part, w[(i + 3) & 3]);
			}
			__m128i message = _mm_add_epi32(w[i & 3], _mm_load_si128((const __m128i *)(const void *)(K + 4 * i)));
			cdgh = _mm_sha256rnds2_epu32(cdgh, abef, message);
			abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(message, 0x0e));
		}
		abef = _mm_add_epi32(abef, before_abef);
		cdgh = _mm_add_epi32(cdgh, before_cdgh);
	}
	low = _mm_shuffle_epi32(abef, 0x1b);
	high = _mm_shuffle_epi32(cdgh, 0xb1);
	_mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(low, high, 0xf0));
	_mm_storeu_si128((__m128i *)(void *)(state + 4), _mm_alignr_epi8(high, low, 8));
}

static int find_extension(void)
{
	unsigned a, b = 0, c = 0, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1))
		return 0;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}
#else
static void compress_extension(uint32_t *state, const uint8_t *bytes, size_t blocks)
{
	compress_plain(state, bytes, blocks);
}

static int find_extension(void)
{
	return 0;
}
#endif

static void compress(struct sha256 *hash, const uint8_t *bytes, size_t blocks)
{
	if (hash->has_extension)
		compress_extension(hash->state, bytes, blocks);
	else
		compress_plain(hash->state, bytes, blocks);
}

void sha256_init(struct sha256 *hash)
{
	static const uint32_t first[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	};

	memset(hash, 0, sizeof(*hash));
	memcpy(hash->state, first, sizeof(first));
	hash->has_extension = find_extension();
}

void sha256_update(struct sha256 *hash, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;

	hash->total += length;
	if (hash->used > 0) {
		size_t take = 64 - hash->used < length ? 64 - hash->used : length;

		memcpy(hash->block + hash->used, at, take);
		hash->used += take;
		at += take;
		length -= take;
		if (hash->used < 64)
			return;
		compress(hash, hash->block, 1);
		hash->used = 0;
	}
	compress(hash, at, length / 64);
	memcpy(hash->block, at + length / 64 * 64, length % 64);
	hash->used = length % 64;
}

void sha256_finish(struct sha256 *hash, char *hex)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t bits = hash->total * 8;
	uint8_t padding[72] = { 0x80 };
	size_t zeros = (hash->used < 56 ? 56 : 120) - hash->used;

	for (int byte = 0; byte < 8; byte++)
		padding[zeros + (size_t)byte] = (uint8_t)(bits >> (56 - 8 * byte));
	sha256_update(hash, padding, zeros + 8);
	for (int index = 0; index < 64; index++)
		hex[index] = digits[hash->state[index / 8] >> (28 - 4 * (index % 8)) & 15];
	hex[64] = '\0';
}
