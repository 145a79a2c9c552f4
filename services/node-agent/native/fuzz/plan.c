/* Plans and updates of limits. */
#include <stdlib.h>

#include "fuzz.h"
#include "plan.h"

static size_t put_mount(uint8_t *out, size_t at, enum mount_kind kind)
{
	size_t mount = put(out, at, TAG_MOUNT, 2), fields = put(out, mount, 0, 4);

	at = put(out, put(out, put(out, put(out, fields, kind, 1), 0, 1), 0, 1), 1, 8);
	at = put(out, put_text(out, put_text(out, at, ""), "/i"), 0, 2);
	put(out, mount, at - fields, 4);
	return at;
}

static size_t put_namespace(uint8_t *out, size_t at, enum ns_kind kind)
{
	at = put(out, put(out, at, TAG_NAMESPACE, 2), 19, 4);
	return put_text(out, put(out, put(out, put(out, put(out, at, kind, 1), 1, 1), 5, 4), 9, 8), "");
}

/* One record of each tag with fields that are right, so that mutations get past the first checks. */
static size_t make_plan(uint8_t *out)
{
	size_t at = put(out, put(out, put(out, 0, PLAN_MAGIC, 4), PLAN_VERSION, 4), 0, 4);

	for (unsigned tag = TAG_ID; tag < TAG_END; tag++) {
		if (tag > TAG_STORAGE_LIMIT && tag < TAG_ENDPOINT)
			continue;
		if (tag == TAG_MOUNT_LOWER)
			at = put_mount(out, at, MOUNT_IMAGE);
		if (tag == TAG_MOUNT_IDMAPPED || tag == TAG_MOUNT_RELABEL)
			at = put_mount(out, at, MOUNT_BIND);
		if (tag == TAG_ROOT_DIRECTORY || tag == TAG_RUNTIME_RESOURCES ||
		    ((tag == TAG_TARGET || tag == TAG_RUNTIME || tag == TAG_RUNTIME_EXEC) && next_random() % 2))
			continue;
		if (tag == TAG_NAMESPACE)
			at = put_namespace(out, put_namespace(out, put_namespace(out, at, NS_UTS), NS_PID), NS_USER);
		size_t start = put(out, at, tag, 2);
		size_t body = put(out, start, 0, 4);
		at = body;
		switch (tag) {
		case TAG_IDS: case TAG_RLIMIT: case TAG_CAPS:
			at = put(out, put(out, put(out, at, 1, 4), 2, 4), 3, 4);
			at = tag == TAG_IDS ? body + 8 : tag == TAG_RLIMIT ? put(out, at, 0, 8) : put(out, put(out, put(out, put(out, at, 1, 8), 1, 8), 1, 8), 1, 4);
			break;
		case TAG_STDIN: case TAG_NO_NEW_PRIVS: case TAG_ROOT_READONLY: case TAG_MOUNT_IDMAPPED:
			at = put(out, at, 1, 1);
			break;
		case TAG_SELINUX: case TAG_MOUNT_LABEL: case TAG_LAYER_LABEL:
			at = put_text(out, at, "u:r:t:s0:c1,c2");
			break;
		case TAG_MOUNT_RELABEL:
			at = put_text(out, put(out, at, RELABEL_ONCE, 1), "u:r:t:s0");
			break;
		case TAG_GROUP: case TAG_OOM_SCORE_ADJ: case TAG_UMASK: case TAG_TTY:
			at = put(out, at, 7, 4);
			break;
		case TAG_STORAGE_LIMIT:
			at = put(out, at, 1 << 20, 8);
			break;
		case TAG_ID_MAP:
			at = put(out, put(out, put(out, at, 100000, 4), 200000, 4), 65536, 4);
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
		case TAG_ENDPOINT:
			at = put_text(out, put_text(out, put_text(out, at, "br0"), "v1"), "eth1");
			at = put(out, put(out, put(out, at, 1, 6), 1500, 4), 1, 1);
			at = put(out, put(out, put(out, at, 4, 1), 9, 4), 24, 1);
			break;
		case TAG_MACVLAN:
			at = put_text(out, put_text(out, put_text(out, at, "eth0"), "v2"), "eth2");
			at = put(out, put(out, put(out, put(out, at, 1, 6), 0, 4), 4, 1), 1, 1);
			at = put(out, put(out, put(out, at, 4, 1), 9, 4), 24, 1);
			break;
		case TAG_GATEWAY:
			at = put(out, put(out, put(out, put_text(out, at, "eth1"), 6, 1), 1, 8), 1, 8);
			at = put(out, at, 0, 1);
			break;
		case TAG_ENDPOINT_SYSCTL:
			at = put_text(out, put_text(out, at, "net/ipv4/conf/eth1/forwarding"), "1");
			break;
		case TAG_LOG:
			at = put_text(out, put(out, put(out, at, 4096, 8), 2, 4), "/l");
			break;
		case TAG_TARGET:
			at = put(out, put(out, at, 1, 4), 2, 8);
			break;
		case TAG_RUNTIME_EXEC:
			at = put_text(out, put_text(out, put_text(out, at, "/b"), "c"), "{}");
			break;
		default:
			at = put_text(out, at, tag == TAG_CWD || tag == TAG_CGROUP || tag == TAG_RUNTIME ? "/a" : "text");
		}
		put(out, start, at - body, 4);
	}
	put(out, 8, at, 4);
	return at;
}

static void plan_round(void)
{
	size_t length = mutate(make_plan(input));
	uint8_t *copy = exact(input, length);
	struct plan plan;
	struct err err;

	/* The length in the header is put right most of the time, or nothing behind it would be reached. */
	if (length >= 12 && next_random() % 8)
		put(copy, 8, length, 4);
	fuzz_plan.whole += plan_parse(copy, length, (int)(next_random() % 2), &plan, &err) == 0;
	plan_free(&plan);
	free(copy);
}

static size_t make_limits(uint8_t *out)
{
	size_t at = put(out, put(out, put(out, put(out, 0, TAG_LIMIT, 2), 9, 4), LIMIT_PIDS, 1), 5, 8);

	at = put_text(out, put(out, put(out, at, TAG_RUNTIME_RESOURCES, 2), 7, 4), "{}");
	at = put_text(out, put(out, put(out, put(out, at, TAG_LIMIT_TEXT, 2), 9, 4), 1, 1), "0-1");
	return put(out, put(out, put(out, put(out, put(out, put(out, at, TAG_BLKIO, 2), 17, 4), 1, 1), 8, 4), 0, 4), 100, 8);
}

static void limits_round(void)
{
	size_t length = mutate(make_limits(input));
	uint8_t *copy = exact(input, length);
	struct limits_plan limits;
	struct err err;

	fuzz_limits.whole += limits_parse(copy, length, &limits, &err) == 0;
	limits_free(&limits);
	free(copy);
}

struct target fuzz_plan = { "plans", plan_round, 0 };
struct target fuzz_limits = { "limits", limits_round, 0 };
