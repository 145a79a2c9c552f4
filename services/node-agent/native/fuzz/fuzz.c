/*
 * Deterministic mutation fuzzing of the parsers that read bytes from others: plan, limits, archive and
 * frames. Built with ASan and UBSan; any finding aborts. The seed and the round are printed, so that
 * `build/fuzz <rounds> <seed>` repeats a finding.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "extract.h"
#include "plan.h"
#include "tar-read.h"

enum { INPUT_ROOM = 8192 };

static uint64_t seed_state;
/* Inputs that got all the way through: none would mean that nothing behind the first checks was reached. */
static unsigned long whole_plans, whole_archives;

static uint32_t next_random(void)
{
	seed_state ^= seed_state << 13;
	seed_state ^= seed_state >> 7;
	seed_state ^= seed_state << 17;
	return (uint32_t)(seed_state >> 16);
}

static size_t put(uint8_t *out, size_t at, uint64_t value, unsigned size)
{
	for (unsigned index = 0; index < size; index++)
		out[at + index] = (uint8_t)(value >> (8 * index));
	return at + size;
}

static size_t put_text(uint8_t *out, size_t at, const char *text)
{
	at = put(out, at, strlen(text) + 1, 4);
	memcpy(out + at, text, strlen(text) + 1);
	return at + strlen(text) + 1;
}

/* One record of each tag with fields that are right, so that mutations get past the first checks. */
static size_t make_plan(uint8_t *out)
{
	size_t at = put(out, put(out, put(out, 0, PLAN_MAGIC, 4), PLAN_VERSION, 4), 0, 4);

	for (unsigned tag = TAG_ID; tag < TAG_END; tag++) {
		if (tag == TAG_MOUNT_LOWER) {
			size_t mount = put(out, at, TAG_MOUNT, 2), fields = put(out, mount, 0, 4);

			at = put(out, put(out, put(out, put(out, fields, MOUNT_IMAGE, 1), 0, 1), 0, 1), 1, 8);
			at = put(out, put_text(out, put_text(out, at, ""), "/i"), 0, 2);
			put(out, mount, at - fields, 4);
		}
		if (tag == TAG_ROOT_DIRECTORY || (tag == TAG_TARGET && next_random() % 2))
			continue;
		if (tag == TAG_NAMESPACE) {
			at = put(out, put(out, at, tag, 2), 19, 4);
			at = put_text(out, put(out, put(out, put(out, put(out, at, NS_UTS, 1), 1, 1), 5, 4), 9, 8), "");
		}
		size_t start = put(out, at, tag, 2);
		size_t body = put(out, start, 0, 4);
		at = body;
		switch (tag) {
		case TAG_IDS: case TAG_RLIMIT: case TAG_CAPS:
			at = put(out, put(out, put(out, at, 1, 4), 2, 4), 3, 4);
			at = tag == TAG_IDS ? body + 8 : tag == TAG_RLIMIT ? put(out, at, 0, 8) : put(out, put(out, put(out, put(out, at, 1, 8), 1, 8), 1, 8), 1, 4);
			break;
		case TAG_STDIN: case TAG_NO_NEW_PRIVS: case TAG_ROOT_READONLY:
			at = put(out, at, 1, 1);
			break;
		case TAG_GROUP: case TAG_OOM_SCORE_ADJ: case TAG_UMASK: case TAG_TTY:
			at = put(out, at, 7, 4);
			break;
		case TAG_SECCOMP:
			at = put(out, at, 6, 8);
			break;
		case TAG_NAMESPACE:
			at = put_text(out, put(out, put(out, put(out, put(out, at, NS_NET, 1), 1, 1), 5, 4), 9, 8), "");
			break;
		case TAG_MOUNT:
			at = put_text(out, put_text(out, put(out, put(out, put(out, put(out, at, MOUNT_TMPFS, 1), 0, 1), 1, 1), 1, 8), ""), "/t");
			at = put_text(out, put_text(out, put(out, at, 1, 2), "size"), "1");
			break;
		case TAG_DEVICE:
			at = put_text(out, at, "/dev/null");
			at = put(out, at, 'c', 1);
			for (int field = 0; field < 5; field++)
				at = put(out, at, 1, 4);
			break;
		case TAG_LINK: case TAG_SYSCTL:
			at = put_text(out, put_text(out, at, "a.b"), "c");
			break;
		case TAG_LIMIT:
			at = put(out, put(out, at, LIMIT_PIDS, 1), 5, 8);
			break;
		case TAG_LIMIT_TEXT:
			at = put_text(out, put(out, at, 1, 1), "0-1");
			break;
		case TAG_DEVICE_RULE:
			at = put(out, put(out, put(out, put(out, put(out, at, 1, 1), 'c', 1), 1, 4), 3, 4), 7, 1);
			break;
		case TAG_BLKIO:
			at = put(out, put(out, put(out, put(out, at, 1, 1), 8, 4), 0, 4), 100, 8);
			break;
		case TAG_NETWORK:
			at = put_text(out, put_text(out, put_text(out, at, "br0"), "v0"), "eth0");
			at = put(out, put(out, put(out, put(out, put(out, at, 1, 4), 24, 1), 1, 4), 1, 6), 1500, 4);
			break;
		case TAG_LOG:
			at = put_text(out, put(out, put(out, at, 4096, 8), 2, 4), "/l");
			break;
		case TAG_TARGET:
			at = put(out, put(out, at, 1, 4), 2, 8);
			break;
		default:
			at = put_text(out, at, tag == TAG_CWD || tag == TAG_CGROUP ? "/a" : "text");
		}
		put(out, start, at - body, 4);
	}
	put(out, 8, at, 4);
	return at;
}

static void tar_header(uint8_t *block, const char *name, char type, const char *link, unsigned size)
{
	unsigned sum = 0;

	memset(block, 0, TAR_BLOCK);
	snprintf((char *)block, 100, "%s", name);
	memcpy(block + 100, "0000644\0000000000\0000000000\000", 24);
	snprintf((char *)block + 124, 12, "%011o", size);
	memcpy(block + 136, "00000000000", 12);
	block[156] = (uint8_t)type;
	snprintf((char *)block + 157, 100, "%s", link);
	memcpy(block + 257, "ustar\00000", 8);
	memset(block + 148, ' ', 8);
	for (int index = 0; index < TAR_BLOCK; index++)
		sum += block[index];
	snprintf((char *)block + 148, 8, "%06o", sum);
}

static size_t make_tar(uint8_t *out)
{
	static const char record[] = "30 mtime=1350244992.023960108\n18 path=longer/na\n27 SCHILY.xattr.user.a=bcd\n10 size=3\n";
	size_t at = 0;

	tar_header(out + at, "pax", 'x', "", sizeof(record) - 1);
	memset(out + at + TAR_BLOCK, 0, TAR_BLOCK);
	memcpy(out + at + TAR_BLOCK, record, sizeof(record) - 1);
	at += 2 * TAR_BLOCK;
	tar_header(out + at, "f", '0', "", 3);
	memcpy(out + at + TAR_BLOCK, "abc", 3);
	at += 2 * TAR_BLOCK;
	tar_header(out + at, "long", 'L', "", 20);
	memset(out + at + TAR_BLOCK, 'n', 20);
	at += 2 * TAR_BLOCK;
	tar_header(out + at, "d/", '5', "", 0);
	at += TAR_BLOCK;
	tar_header(out + at, "l", '2', "../../x", 0);
	at += TAR_BLOCK;
	tar_header(out + at, ".wh.a", '0', "", 0);
	at += TAR_BLOCK;
	memset(out + at, 0, 2 * TAR_BLOCK);
	return at + 2 * TAR_BLOCK;
}

static size_t mutate(uint8_t *bytes, size_t length)
{
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

/* A heap copy of the exact length, so that ASan sees every byte read past the end. */
static uint8_t *exact(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);

	memcpy(copy, bytes, length);
	return copy;
}

static void fuzz_plan(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = exact(bytes, length);
	struct plan plan;
	struct limits_plan limits;
	struct err err;

	/* The length in the header is put right most of the time, or nothing behind it would be reached. */
	if (length >= 12 && next_random() % 8)
		put(copy, 8, length, 4);
	if (plan_parse(copy, length, (int)(next_random() % 2), &plan, &err) == 0)
		whole_plans++;
	plan_free(&plan);
	limits_parse(copy, length, &limits, &err);
	limits_free(&limits);
	free(copy);
}

static void repair_checksums(uint8_t *bytes, size_t length)
{
	for (size_t at = 0; at + TAR_BLOCK <= length; at += TAR_BLOCK) {
		unsigned sum = 0;

		if (memcmp(bytes + at + 257, "ustar", 5) != 0)
			continue;
		memset(bytes + at + 148, ' ', 8);
		for (int index = 0; index < TAR_BLOCK; index++)
			sum += bytes[at + (size_t)index];
		char digits[8];
		snprintf(digits, sizeof(digits), "%06o", sum & 0777777);
		memcpy(bytes + at + 148, digits, 7);
	}
}

static void fuzz_tar(int memory, uint8_t *bytes, size_t length)
{
	static struct tar_entry entry;
	struct tar_reader reader;
	const uint8_t *data;
	char cleaned[PATH_MAX];
	struct err err;

	repair_checksums(bytes, length);
	if (ftruncate(memory, 0) < 0 || pwrite(memory, bytes, length, 0) < 0 || lseek(memory, 0, SEEK_SET) < 0)
		abort();
	if (tar_open(&reader, memory, 0, &err) < 0)
		abort();
	int result;
	while ((result = tar_next(&reader, &entry, &err)) > 0) {
		if (clean_name(entry.path, cleaned) == 0 && (strstr(cleaned, "//") || strcmp(cleaned, "..") == 0 || strncmp(cleaned, "../", 3) == 0 || *cleaned == '/'))
			abort();
		while (tar_data(&reader, &data, 4096, &err) > 0)
			;
	}
	whole_archives += result == 0;
	tar_close(&reader);
}

static void fuzz_frames(const uint8_t *bytes, size_t length)
{
	struct client client;
	int pair[2];
	size_t size;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		abort();
	if (write(pair[1], bytes, length) < 0)
		abort();
	close(pair[1]);
	client_open(&client, pair[0]);
	for (int result = 0; result >= 0;) {
		size = 0;
		result = client_read(&client, &size);
		if (result > 0)
			client_forget_payload(&client);
	}
	client_close(&client);
}

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
	unsigned long seed = argc > 2 ? strtoul(argv[2], NULL, 10) : 20260101;
	static uint8_t input[INPUT_ROOM];
	int memory = memfd_create("fuzz", MFD_CLOEXEC);

	setvbuf(stdout, NULL, _IONBF, 0);
	printf("seed %lu, %lu rounds\n", seed, rounds);
	for (unsigned long round = 0; round < rounds; round++) {
		seed_state = (seed + round) * 0x9e3779b97f4a7c15ull | 1;
		switch (next_random() % 3) {
		case 0:
			fuzz_plan(input, mutate(input, make_plan(input)));
			break;
		case 1:
			fuzz_tar(memory, input, mutate(input, make_tar(input)));
			break;
		default: {
			size_t length = 0;

			for (int frame = 0; frame < 4; frame++)
				length = put(input, put(input, length, next_random() % 140, 1), next_random() % 64, 4) + next_random() % 64;
			fuzz_frames(input, mutate(input, length));
		}
		}
		if (round % 100000 == 99999)
			printf("round %lu\n", round + 1);
	}
	printf("no finding; %lu plans and %lu archives were read to their end\n", whole_plans, whole_archives);
	return rounds >= 1000 && (whole_plans == 0 || whole_archives == 0);
}
