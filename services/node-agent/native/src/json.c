#include "json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char STEP[] = "read json";

/* Strings are unescaped in place: what is written is never longer than what was read. */
struct reader {
	char *at, *end;
	struct json_document *document;
	const char *problem;
};

static int fail(struct reader *reader, const char *problem)
{
	if (!reader->problem)
		reader->problem = problem;
	return -1;
}

static void skip_space(struct reader *reader)
{
	while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\n' || *reader->at == '\r'))
		reader->at++;
}

static int hex4(struct reader *reader, unsigned *code)
{
	*code = 0;
	if (reader->end - reader->at < 4)
		return fail(reader, "an escape that is cut off");
	for (int digit = 0; digit < 4; digit++) {
		char c = *reader->at++;
		unsigned value = c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
			       : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10) : 16;

		if (value > 15)
			return fail(reader, "an escape with a wrong digit");
		*code = *code << 4 | value;
	}
	return 0;
}

static char *put_utf8(char *out, unsigned code)
{
	if (code < 0x80) {
		*out++ = (char)code;
		return out;
	}
	int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;

	*out++ = (char)((more == 1 ? 0xc0u : more == 2 ? 0xe0u : 0xf0u) | code >> (6 * more));
	while (more-- > 0)
		*out++ = (char)(0x80u | (code >> (6 * more) & 0x3fu));
	return out;
}

static int unicode_escape(struct reader *reader, char **out)
{
	unsigned code, low;

	if (hex4(reader, &code) < 0)
		return -1;
	if (code == 0)
		return fail(reader, "a zero in a string");
	if (code >= 0xd800 && code < 0xdc00) {
		if (reader->end - reader->at < 2 || reader->at[0] != '\\' || reader->at[1] != 'u')
			return fail(reader, "half a surrogate pair");
		reader->at += 2;
		if (hex4(reader, &low) < 0)
			return -1;
		if (low < 0xdc00 || low > 0xdfff)
			return fail(reader, "half a surrogate pair");
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	} else if (code >= 0xdc00 && code < 0xe000) {
		return fail(reader, "half a surrogate pair");
	}
	*out = put_utf8(*out, code);
	return 0;
}

/* Stands behind the opening quote. */
static const char *read_string(struct reader *reader)
{
	static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	char *text = reader->at, *out = reader->at;

	while (reader->at < reader->end) {
		unsigned char c = (unsigned char)*reader->at++;

		if (c == '"') {
			*out = '\0';
			return text;
		}
		if (c < 0x20) {
			fail(reader, "a control character in a string");
			return NULL;
		}
		if (c != '\\') {
			*out++ = (char)c;
			continue;
		}
		char kind = reader->at < reader->end ? *reader->at++ : '\0';
		const char *known = kind ? strchr(escapes, kind) : NULL;
		if (known) {
			*out++ = meanings[known - escapes];
		} else if (kind != 'u' || unicode_escape(reader, &out) < 0) {
			fail(reader, "an unknown escape");
			return NULL;
		}
	}
	fail(reader, "a string without end");
	return NULL;
}

static int is_digit(const struct reader *reader)
{
	return reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9';
}

static int digits(struct reader *reader)
{
	if (!is_digit(reader))
		return fail(reader, "a number without digits");
	while (is_digit(reader))
		reader->at++;
	return 0;
}

static int number(struct reader *reader)
{
	if (*reader->at == '-')
		reader->at++;
	if (reader->end - reader->at > 1 && reader->at[0] == '0' && reader->at[1] >= '0' && reader->at[1] <= '9')
		return fail(reader, "a number with a leading zero");
	if (digits(reader) < 0)
		return -1;
	if (reader->at < reader->end && *reader->at == '.') {
		reader->at++;
		if (digits(reader) < 0)
			return -1;
	}
	if (reader->at < reader->end && (*reader->at == 'e' || *reader->at == 'E')) {
		reader->at++;
		if (reader->at < reader->end && (*reader->at == '+' || *reader->at == '-'))
			reader->at++;
		return digits(reader);
	}
	return 0;
}

static int literal(struct reader *reader, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0)
		return fail(reader, "a word that is no value");
	reader->at += length;
	return 0;
}

static struct json *add_node(struct reader *reader)
{
	struct json_document *document = reader->document;

	if (document->count == document->room) {
		fail(reader, "too many values");
		return NULL;
	}
	struct json *node = &document->nodes[document->count++];
	memset(node, 0, sizeof(*node));
	return node;
}

static int read_value(struct reader *reader, struct json *node, int depth);

/* Members up to `close`; stands behind the opening bracket. */
static int read_members(struct reader *reader, struct json *node, char close, int depth)
{
	struct json **slot = &node->first;

	skip_space(reader);
	if (reader->at < reader->end && *reader->at == close) {
		reader->at++;
		return 0;
	}
	for (;;) {
		const char *key = NULL;

		skip_space(reader);
		if (close == '}') {
			if (reader->at == reader->end || *reader->at++ != '"')
				return fail(reader, "a member without a name");
			key = read_string(reader);
			skip_space(reader);
			if (!key || reader->at == reader->end || *reader->at++ != ':')
				return fail(reader, "a member without a colon");
		}
		struct json *member = add_node(reader);
		if (!member || read_value(reader, member, depth + 1) < 0)
			return -1;
		member->key = key;
		*slot = member;
		slot = &member->next;
		skip_space(reader);
		char mark = reader->at < reader->end ? *reader->at++ : '\0';
		if (mark == close)
			return 0;
		if (mark != ',')
			return fail(reader, "members without a comma");
	}
}

static int read_value(struct reader *reader, struct json *node, int depth)
{
	if (depth > JSON_MAX_DEPTH)
		return fail(reader, "too many levels");
	skip_space(reader);
	if (reader->at == reader->end)
		return fail(reader, "a value is missing");
	switch (*reader->at) {
	case '{':
	case '[':
		node->type = *reader->at == '{' ? JSON_OBJECT : JSON_ARRAY;
		reader->at++;
		return read_members(reader, node, node->type == JSON_OBJECT ? '}' : ']', depth);
	case '"':
		reader->at++;
		node->type = JSON_STRING;
		node->text = read_string(reader);
		return node->text ? 0 : -1;
	case 't':
		node->type = JSON_TRUE;
		return literal(reader, "true");
	case 'f':
		node->type = JSON_FALSE;
		return literal(reader, "false");
	case 'n':
		node->type = JSON_NULL;
		return literal(reader, "null");
	default:
		/* Ended by json_parse's second look: the byte behind is still needed here. */
		node->type = JSON_NUMBER;
		node->text = reader->at;
		return number(reader);
	}
}

/* A value needs a comma, a bracket or the beginning before it: their number bounds that of the nodes. */
static size_t bound(const char *bytes, size_t length)
{
	size_t count = 1;

	for (size_t index = 0; index < length; index++)
		count += bytes[index] == ',' || bytes[index] == '[' || bytes[index] == '{';
	return count < JSON_MAX_NODES ? count : JSON_MAX_NODES;
}

/* The digits of a number end where its text does; only now nothing behind them is read any more. */
static void end_numbers(struct json_document *document)
{
	for (size_t index = 0; index < document->count; index++) {
		struct json *node = &document->nodes[index];

		if (node->type == JSON_NUMBER)
			*(document->bytes + (node->text - document->bytes) + strspn(node->text, "+-.0123456789eE")) = '\0';
	}
}

int json_parse(const char *bytes, size_t length, struct json_document *document, struct err *err)
{
	memset(document, 0, sizeof(*document));
	if (length > JSON_MAX_BYTES)
		return err_set(err, EFBIG, STEP, "longer than 4 MiB");
	document->room = bound(bytes, length);
	document->bytes = malloc(length + 1);
	document->nodes = calloc(document->room, sizeof(*document->nodes));
	if (!document->bytes || !document->nodes)
		return err_set(err, ENOMEM, STEP, "out of memory");
	memcpy(document->bytes, bytes, length);
	document->bytes[length] = '\0';
	struct reader reader = { document->bytes, document->bytes + length, document, NULL };
	struct json *root = add_node(&reader);
	int failed = !root || read_value(&reader, root, 0) < 0;
	skip_space(&reader);
	if (!failed && reader.at != reader.end)
		failed = fail(&reader, "more behind the value");
	if (failed)
		return err_set(err, EINVAL, STEP, "malformed JSON at byte %zu: %s", (size_t)(reader.at - document->bytes), reader.problem);
	end_numbers(document);
	return 0;
}

void json_free(struct json_document *document)
{
	free(document->bytes);
	free(document->nodes);
	memset(document, 0, sizeof(*document));
}

const struct json *json_get(const struct json *value, const char *key)
{
	const struct json *found = NULL;

	if (!value || value->type != JSON_OBJECT)
		return NULL;
	for (const struct json *member = value->first; member; member = member->next)
		if (strcmp(member->key, key) == 0)
			found = member;
	return found && found->type != JSON_NULL ? found : NULL;
}

const char *json_text(const struct json *value)
{
	return value && value->type == JSON_STRING ? value->text : NULL;
}

static int whole_number(const struct json *value, char **end)
{
	*end = NULL;
	return value && value->type == JSON_NUMBER && !strpbrk(value->text, ".eE");
}

int json_int64(const struct json *value, int64_t *out)
{
	char *end;

	if (!whole_number(value, &end))
		return -1;
	errno = 0;
	*out = strtoll(value->text, &end, 10);
	return errno || *end ? -1 : 0;
}

int json_uint64(const struct json *value, uint64_t *out)
{
	char *end;

	if (!whole_number(value, &end) || value->text[0] == '-')
		return -1;
	errno = 0;
	*out = strtoull(value->text, &end, 10);
	return errno || *end ? -1 : 0;
}
