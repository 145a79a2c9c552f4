#ifndef ATOLL_CURSOR_H
#define ATOLL_CURSOR_H

#include <stdint.h>
#include <string.h>

/* Bounded little-endian reader: once a read does not fit, `bad` stays set and all reads give zero. */
struct cursor {
	const uint8_t *at;
	const uint8_t *end;
	int bad;
};

static inline uint64_t cursor_number(struct cursor *cursor, unsigned size)
{
	uint64_t value = 0;

	if (cursor->bad || (size_t)(cursor->end - cursor->at) < size) {
		cursor->bad = 1;
		return 0;
	}
	for (unsigned index = 0; index < size; index++)
		value |= (uint64_t)cursor->at[index] << (8 * index);
	cursor->at += size;
	return value;
}

static inline const uint8_t *cursor_bytes(struct cursor *cursor, size_t size)
{
	const uint8_t *bytes = cursor->at;

	if (cursor->bad || (size_t)(cursor->end - cursor->at) < size) {
		cursor->bad = 1;
		return NULL;
	}
	cursor->at += size;
	return bytes;
}

/* u32 length with the closing zero, bytes, zero; no other zero inside. Never NULL. */
static inline const char *cursor_text(struct cursor *cursor)
{
	size_t size = (size_t)cursor_number(cursor, 4);
	const uint8_t *bytes = cursor_bytes(cursor, size);

	if (!bytes || size == 0 || memchr(bytes, 0, size) != bytes + size - 1) {
		cursor->bad = 1;
		return "";
	}
	return (const char *)bytes;
}

#endif
