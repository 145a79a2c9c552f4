#ifndef ATOLL_FRAME_H
#define ATOLL_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* The control protocol: [u8 type][u32 length, little endian][payload]. The table is also in src/runtime/frames.ts. */
enum frame_type {
	FRAME_SUBSCRIBE = 1, FRAME_START, FRAME_KILL, FRAME_ATTACH, FRAME_STDIN, FRAME_STDIN_END, FRAME_RESIZE,
	FRAME_STATE, FRAME_PAUSE, FRAME_UNPAUSE, FRAME_UPDATE, FRAME_SHUTDOWN, FRAME_PLAN, FRAME_RUN, FRAME_FILE, FRAME_REMOVE,
	FRAME_CONNECT = 24,
	FRAME_REPLY = 128, FRAME_STATE_IS, FRAME_STDOUT, FRAME_STDERR, FRAME_EXIT, FRAME_PREPARED,
};

enum { FRAME_HEADER = 5, FRAME_MAX = 64 * 1024 };

struct frame {
	uint8_t type;
	uint8_t *payload; /* `length` bytes and a zero; to be freed */
	size_t length;
};

/* Reads a whole frame from a blocking connection. */
int frame_read(int connection, struct frame *frame, size_t limit, struct err *err);

static inline void frame_header(uint8_t *out, uint8_t type, uint32_t length)
{
	out[0] = type;
	for (int byte = 0; byte < 4; byte++)
		out[1 + byte] = (uint8_t)(length >> (8 * byte));
}

static inline uint32_t frame_length(const uint8_t *header)
{
	return (uint32_t)header[1] | (uint32_t)header[2] << 8 | (uint32_t)header[3] << 16 | (uint32_t)header[4] << 24;
}

#endif
