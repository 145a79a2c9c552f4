/* JSON: configs of containers and log lines of other runtimes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "json.h"

static const char *const PIECES[] = {
	"{\"a\":1}", "[]", "[1,[2,[3]]]", "\"\\u0041\\ud83d\\ude00\\n\"", "-12", "0.5e-3", "true", "false", "null", " \t\n",
	"{\"args\":[\"sh\",\"-c\"],\"k\":{}}", "\"\"", "18446744073709551615",
};

/* Every value is looked at as every type. */
static void visit(const struct json *value)
{
	int64_t number;
	uint64_t positive;

	for (; value; value = value->next) {
		const char *text = json_text(value);

		if (text && strlen(text) > INPUT_ROOM)
			abort();
		if (json_int64(value, &number) == 0 && json_uint64(value, &positive) == 0 && number >= 0 && (uint64_t)number != positive)
			abort();
		if (value->key && strlen(value->key) > INPUT_ROOM)
			abort();
		json_get(value, "a");
		visit(value->first);
	}
}

static void json_round(void)
{
	size_t length = 0;
	struct json_document document;
	struct err err;

	input[length++] = '[';
	for (unsigned count = next_random() % 12; count > 0; count--)
		length += (size_t)snprintf((char *)input + length, INPUT_ROOM - length, "%s%s", PIECES[next_random() % (sizeof(PIECES) / sizeof(*PIECES))],
					   count > 1 ? "," : "");
	input[length++] = ']';
	length = mutate(length);
	uint8_t *copy = exact(input, length);
	if (json_parse((const char *)copy, length, &document, &err) == 0) {
		fuzz_json.whole++;
		visit(document.nodes);
	}
	json_free(&document);
	free(copy);
}

struct target fuzz_json = { "json", json_round, 0 };
