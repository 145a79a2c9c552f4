/*
 * Deterministic mutation fuzzing of the parsers that read bytes from others. Built with ASan and UBSan; any finding aborts.
 * The seed and every 100,000th round are printed, so that `build/fuzz <rounds> <seed>` repeats a finding.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint8_t input[INPUT_ROOM];

static uint64_t seed_state;

uint32_t next_random(void)
{
	seed_state ^= seed_state << 13;
	seed_state ^= seed_state >> 7;
	seed_state ^= seed_state << 17;
	return (uint32_t)(seed_state >> 16);
}

size_t put(uint8_t *out, size_t at, uint64_t value, unsigned size)
{
	for (unsigned index = 0; index < size; index++)
		out[at + index] = (uint8_t)(value >> (8 * index));
	return at + size;
}

size_t put_text(uint8_t *out, size_t at, const char *text)
{
	at = put(out, at, strlen(text) + 1, 4);
	memcpy(out + at, text, strlen(text) + 1);
	return at + strlen(text) + 1;
}

size_t mutate(size_t length)
{
	uint8_t *bytes = input;

	for (unsigned count = next_random() % 8; count > 0 && length > 0; count--) {
		size_t at = next_random() % length;

		switch (next_random() % 5) {
		case 0:
			bytes[at] ^= (uint8_t)(1u << (next_random() % 8));
			break;
		case 1:
			bytes[at] = (uint8_t)next_random();
			break;
		case 2:
			bytes[at] = next_random() % 2 ? 0xff : 0;
			break;
		case 3:
			length = at;
			break;
		default: {
			size_t run = next_random() % 32;

			if (at + run < length && length + run < INPUT_ROOM) {
				memmove(bytes + at + run, bytes + at, length - at);
				length += run;
			}
		}
		}
	}
	return length;
}

uint8_t *exact(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);

	memcpy(copy, bytes, length);
	return copy;
}

int main(int argc, char **argv)
{
	static struct target *const targets[] = { &fuzz_plan, &fuzz_limits, &fuzz_tar, &fuzz_pax, &fuzz_frames, &fuzz_user, &fuzz_json, &fuzz_spec,
		&fuzz_services };
	enum { TARGETS = sizeof(targets) / sizeof(*targets) };
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
	unsigned long seed = argc > 2 ? strtoul(argv[2], NULL, 10) : 20260101;
	int unreached = 0;

	setvbuf(stdout, NULL, _IONBF, 0);
	printf("seed %lu, %lu rounds\n", seed, rounds);
	for (unsigned long round = 0; round < rounds; round++) {
		seed_state = (seed + round) * 0x9e3779b97f4a7c15ull | 1;
		targets[next_random() % TARGETS]->round();
		if (round % 100000 == 99999)
			printf("round %lu\n", round + 1);
	}
	for (size_t index = 0; index < TARGETS; index++) {
		printf("%s: %lu read to the end\n", targets[index]->name, targets[index]->whole);
		unreached |= targets[index]->whole == 0;
	}
	printf("no finding\n");
	return rounds >= 10000 && unreached;
}
