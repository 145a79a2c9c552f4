#ifndef ATOLL_JSON_H
#define ATOLL_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum { JSON_MAX_BYTES = 4 << 20, JSON_MAX_NODES = 1 << 18, JSON_MAX_DEPTH = 64 };
enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
	enum json_type type;
	const char *key;         /* of a member of an object, else NULL */
	const char *text;        /* of a string, without escapes; of a number, its digits */
	struct json *first, *next;
};

struct json_document {
	char *bytes;
	struct json *nodes;      /* the first is the document's value */
	size_t count, room;
};

/*
 * RFC 8259, in memory bounded by the limits above. Refused beside what the grammar refuses: zero bytes in strings, as they become
 * C texts. Of a key that comes twice the last one counts. To be freed, also when it failed.
 */
int json_parse(const char *bytes, size_t length, struct json_document *document, struct err *err);
void json_free(struct json_document *document);

/* NULL when `value` is NULL, no object, or has no such member that is not null. */
const struct json *json_get(const struct json *value, const char *key);
/* The text of a string, else NULL. */
const char *json_text(const struct json *value);
/* -1 unless it is a whole number in the range. */
int json_int64(const struct json *value, int64_t *out);
int json_uint64(const struct json *value, uint64_t *out);

#endif
