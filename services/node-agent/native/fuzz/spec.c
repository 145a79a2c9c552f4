/* config.json as the OCI command line understands it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "oci.h"

struct globals globals = { "/", NULL, "text", 0 };

/* The command line's own parts, which are not under test. */
void log_message(const char *level, const char *text)
{
	(void)level;
	(void)text;
}

int fail_usage(struct err *err, const char *format, ...)
{
	return err_set(err, 0, "arguments", "%s", format);
}

static const char *const MEMBERS[] = {
	"\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"options\":[\"nosuid\",\"a=b\"]},{\"destination\":\"/d\",\"source\":\"x\",\"options\":[\"rbind\",\"rro\",\"rslave\"]}]",
	"\"hooks\":{\"prestart\":[{\"path\":\"/h\",\"args\":[\"a\"],\"timeout\":5}],\"poststop\":[]}",
	"\"annotations\":{\"a\":\"b\"}", "\"hostname\":\"h\"", "\"windows\":{}",
};
static const char *const LINUX[] = {
	"\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[\"SCMP_ARCH_X86\"],\"syscalls\":[{\"names\":[\"read\",\"clone\"],\"action\":\"SCMP_ACT_ALLOW\","
	"\"args\":[{\"index\":0,\"value\":7,\"valueTwo\":1,\"op\":\"SCMP_CMP_MASKED_EQ\"},{\"index\":1,\"value\":9,\"op\":\"SCMP_CMP_GT\"}]}]}",
	"\"resources\":{\"memory\":{\"limit\":9},\"cpu\":{\"shares\":5,\"cpus\":\"0\"},\"pids\":{\"limit\":3},\"devices\":[{\"allow\":false},{\"allow\":true,\"type\":\"c\",\"major\":1,\"access\":\"r\"}],"
	"\"blockIO\":{\"weight\":10,\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":5}]}}",
	"\"devices\":[{\"path\":\"/dev/x\",\"type\":\"c\",\"major\":1,\"minor\":2,\"fileMode\":438}]", "\"sysctl\":{\"net.a\":\"1\"}",
	"\"maskedPaths\":[\"/p\"],\"readonlyPaths\":[\"/q\"]", "\"cgroupsPath\":\"/a/b\"", "\"rootfsPropagation\":\"rslave\"",
};

static void spec_round(void)
{
	struct spec spec = { 0 };
	struct err err;
	size_t length = (size_t)snprintf((char *)input, INPUT_ROOM,
					 "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"/\"},\"process\":{\"args\":[\"a\"],\"env\":[\"B=c\"],\"cwd\":\"/\",\"apparmorProfile\":\"unconfined\","
					 "\"user\":{\"uid\":1,\"gid\":2,\"additionalGids\":[3]},\"capabilities\":{\"bounding\":[\"CAP_KILL\"]},"
					 "\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":2}]},"
					 "\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"network\"},{\"type\":\"uts\",\"path\":\"/n\"}]");

	for (unsigned index = 0; index < sizeof(LINUX) / sizeof(*LINUX); index++)
		if (next_random() % 2)
			length += (size_t)snprintf((char *)input + length, INPUT_ROOM - length, ",%s", LINUX[index]);
	length += (size_t)snprintf((char *)input + length, INPUT_ROOM - length, "}");
	for (unsigned index = 0; index < sizeof(MEMBERS) / sizeof(*MEMBERS); index++)
		if (next_random() % 2)
			length += (size_t)snprintf((char *)input + length, INPUT_ROOM - length, ",%s", MEMBERS[index]);
	length += (size_t)snprintf((char *)input + length, INPUT_ROOM - length, "}");
	length = mutate(length);
	uint8_t *copy = exact(input, length);
	spec.plan.id = "id";
	fuzz_spec.whole += spec_parse("/b", (const char *)copy, length, &spec, &err) == 0;
	spec_free(&spec);
	free(copy);
}

struct target fuzz_spec = { "specs", spec_round, 0 };
