#ifndef ATOLL_FUZZ_H
#define ATOLL_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* One parser under test. A round makes a sound input, mutates it and has it parsed; it aborts at a finding. */
struct target {
	const char *name;
	void (*round)(void);
	/* Inputs that got all the way through: none would mean that nothing behind the first checks was reached. */
	unsigned long whole;
};

extern struct target fuzz_plan, fuzz_limits, fuzz_tar, fuzz_pax, fuzz_frames, fuzz_user, fuzz_json, fuzz_spec, fuzz_services;

enum { INPUT_ROOM = 8192 };

/* The bytes of this round's input. */
extern uint8_t input[INPUT_ROOM];

uint32_t next_random(void);
/* Changes up to seven places of the input, or none, and gives its new length. */
size_t mutate(size_t length);
/* A heap copy of the exact length, so that ASan sees every byte read past the end. */
uint8_t *exact(const uint8_t *bytes, size_t length);
/* Little endian and plan texts; both give where they ended. */
size_t put(uint8_t *out, size_t at, uint64_t value, unsigned size);
size_t put_text(uint8_t *out, size_t at, const char *text);

#endif
