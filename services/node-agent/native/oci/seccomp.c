#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "oci.h"

/*
 * A seccomp profile of a config as classic BPF. Calls with the same decision form ranges that are looked through in order; the kernel
 * remembers which calls are always allowed. As libseccomp decides: a rule without conditions wins over those with, of the others the
 * first that fits; several conditions hold together, unless two look at the same argument. x32 calls get EPERM.
 */
struct call { unsigned number; const char *name; };

#include "syscalls.inc"

enum { MAX_NUMBER = 512, MAX_RULES = 4096, MAX_CONDITIONS = 6, PROGRAM_ROOM = 4096, X32_BIT = 0x40000000 };
enum compare { CMP_NE, CMP_LT, CMP_LE, CMP_EQ, CMP_GE, CMP_GT, CMP_MASKED_EQ };

struct condition { unsigned argument; enum compare compare; uint64_t mask, value; };
struct rule { uint32_t result; unsigned count; struct condition conditions[MAX_CONDITIONS]; int next; };
/* What is known of one call: a result, or rules in order with the default behind. */
struct decision { int constant; uint32_t result; int first; };

static struct rule rules[MAX_RULES];
static int rule_count;
static struct decision decisions[MAX_NUMBER];
static struct sock_filter program[PROGRAM_ROOM];
static size_t length;

static int bad(struct err *err, const char *why)
{
	return spec_bad(err, "linux", "seccomp", why);
}

static int action(const char *name, int64_t code, uint32_t *result)
{
	static const struct { const char *name; uint32_t result; int has_code; } actions[] = {
		{ "SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW, 0 }, { "SCMP_ACT_LOG", SECCOMP_RET_LOG, 0 }, { "SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO, 1 },
		{ "SCMP_ACT_TRACE", SECCOMP_RET_TRACE, 1 }, { "SCMP_ACT_TRAP", SECCOMP_RET_TRAP, 0 }, { "SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD, 0 },
		{ "SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD, 0 }, { "SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS, 0 },
	};

	for (size_t index = 0; name && index < sizeof(actions) / sizeof(*actions); index++)
		if (strcmp(actions[index].name, name) == 0) {
			*result = actions[index].result | (actions[index].has_code ? (uint32_t)code & SECCOMP_RET_DATA : 0);
			return 0;
		}
	return -1;
}

static int emit(unsigned code, uint32_t k, unsigned jt, unsigned jf)
{
	if (length == PROGRAM_ROOM || jt > 255 || jf > 255)
		return -1;
	program[length++] = (struct sock_filter){ (unsigned short)code, (unsigned char)jt, (unsigned char)jf, k };
	return 0;
}

static int load(unsigned offset)
{
	return emit(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

static int load_half(const struct condition *condition, int high)
{
	uint32_t mask = (uint32_t)(high ? condition->mask >> 32 : condition->mask);

	if (load((unsigned)offsetof(struct seccomp_data, args) + condition->argument * 8 + (high ? 4 : 0)) < 0)
		return -1;
	return mask == UINT32_MAX ? 0 : emit(BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
}

/*
 * Falls through when the condition holds, else jumps over `behind` instructions that follow. A comparison that is another one negated
 * swaps the two ways out.
 */
static int emit_condition(const struct condition *condition, int wide, unsigned behind)
{
	int negated = condition->compare == CMP_NE || condition->compare == CMP_LT || condition->compare == CMP_LE;
	enum compare test = condition->compare == CMP_NE || condition->compare == CMP_MASKED_EQ ? CMP_EQ : condition->compare == CMP_LT ? CMP_GE
			  : condition->compare == CMP_LE ? CMP_GT : condition->compare;
	uint32_t high = (uint32_t)(condition->value >> 32), low = (uint32_t)condition->value;
	unsigned masked = (uint32_t)condition->mask != UINT32_MAX, rest = 1 + masked + 1;
	unsigned holds = negated ? behind : 0, fails = negated ? 0 : behind;

	if (wide) {
		if (load_half(condition, 1) < 0)
			return -1;
		if (test != CMP_EQ && emit(BPF_JMP | BPF_JGT | BPF_K, high, 1 + rest + holds, 0) < 0)
			return -1;
		if (emit(BPF_JMP | BPF_JEQ | BPF_K, high, 0, rest + fails) < 0)
			return -1;
	}
	if (load_half(condition, 0) < 0)
		return -1;
	unsigned code = test == CMP_EQ ? BPF_JEQ : test == CMP_GT ? BPF_JGT : BPF_JGE;
	return emit(BPF_JMP | code | BPF_K, low, holds, fails);
}

static unsigned condition_length(const struct condition *condition, int wide)
{
	unsigned low = 2 + ((uint32_t)condition->mask != UINT32_MAX), high = 0;

	if (wide) {
		int equal = condition->compare == CMP_EQ || condition->compare == CMP_NE || condition->compare == CMP_MASKED_EQ;

		high = 2 + ((uint32_t)(condition->mask >> 32) != UINT32_MAX) + !equal;
	}
	return low + high;
}

static int emit_rule(const struct rule *rule, int wide)
{
	unsigned behind = 1; /* the RETURN */

	for (unsigned index = 1; index < rule->count; index++)
		behind += condition_length(&rule->conditions[index], wide);
	for (unsigned index = 0; index < rule->count; index++) {
		if (emit_condition(&rule->conditions[index], wide, behind) < 0)
			return -1;
		if (index + 1 < rule->count)
			behind -= condition_length(&rule->conditions[index + 1], wide);
	}
	return emit(BPF_RET | BPF_K, rule->result, 0, 0);
}

static int same(const struct decision *one, const struct decision *other)
{
	return one->constant && other->constant && one->result == other->result;
}

/* Ranges from below; `beyond` is for numbers of no table. */
static int emit_abi(unsigned highest, int wide, uint32_t fallback, uint32_t beyond)
{
	if (load((unsigned)offsetof(struct seccomp_data, nr)) < 0)
		return -1;
	for (unsigned first = 0; first <= highest;) {
		unsigned last = first;

		while (last < highest && same(&decisions[first], &decisions[last + 1]))
			last++;
		if (decisions[first].constant) {
			if (emit(BPF_JMP | BPF_JGT | BPF_K, last, 1, 0) < 0 || emit(BPF_RET | BPF_K, decisions[first].result, 0, 0) < 0)
				return -1;
		} else {
			/* Longer than a conditional jump reaches: jump behind it by an unconditional one. */
			if (emit(BPF_JMP | BPF_JEQ | BPF_K, first, 1, 0) < 0 || emit(BPF_JMP | BPF_JA, 0, 0, 0) < 0)
				return -1;
			size_t jump = length - 1;
			for (int index = decisions[first].first; index >= 0; index = rules[index].next)
				if (emit_rule(&rules[index], wide) < 0)
					return -1;
			if (emit(BPF_RET | BPF_K, fallback, 0, 0) < 0)
				return -1;
			program[jump].k = (uint32_t)(length - jump - 1);
		}
		first = last + 1;
	}
	return emit(BPF_RET | BPF_K, beyond, 0, 0);
}

static int condition(const struct json *item, struct condition *out, struct err *err)
{
	static const char *const names[] = { "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ" };
	const char *op = json_text(json_get(item, "op"));
	uint64_t argument = 0, value = 0, second = 0;
	int found = -1;

	for (int index = 0; op && index < 7; index++)
		if (strcmp(names[index], op) == 0)
			found = index;
	if ((json_get(item, "index") && json_uint64(json_get(item, "index"), &argument) < 0) || argument > 5 || found < 0 ||
	    (json_get(item, "value") && json_uint64(json_get(item, "value"), &value) < 0) ||
	    (json_get(item, "valueTwo") && json_uint64(json_get(item, "valueTwo"), &second) < 0))
		return bad(err, "has an argument with an unknown index, comparison or value");
	*out = (struct condition){ (unsigned)argument, (enum compare)found, UINT64_MAX, value };
	if (found == CMP_MASKED_EQ) {
		out->mask = value;
		out->value = second & value;
	}
	return 0;
}

static int add_rule(struct decision *decision, const struct condition *conditions, unsigned count, uint32_t result)
{
	int *slot = &decision->first;

	if (rule_count == MAX_RULES)
		return -1;
	struct rule *rule = &rules[rule_count];
	rule->result = result;
	rule->count = count;
	rule->next = -1;
	memcpy(rule->conditions, conditions, count * sizeof(*conditions));
	while (*slot >= 0)
		slot = &rules[*slot].next;
	*slot = rule_count++;
	return 0;
}

static int decide(struct decision *decision, const struct condition *conditions, unsigned count, uint32_t result, int *settled)
{
	int twice = 0;

	if (count == 0) {
		if (!*settled) {
			decision->constant = 1;
			decision->result = result;
			*settled = 1;
		}
		return 0;
	}
	if (*settled)
		return 0;
	decision->constant = 0;
	for (unsigned one = 0; one < count; one++)
		for (unsigned other = 0; other < one; other++)
			twice |= conditions[one].argument == conditions[other].argument;
	if (!twice)
		return add_rule(decision, conditions, count, result);
	for (unsigned one = 0; one < count; one++)
		if (add_rule(decision, &conditions[one], 1, result) < 0)
			return -1;
	return 0;
}

static int apply(const struct json *item, const struct call *calls, size_t call_count, int *settled, struct err *err)
{
	static const char *const known[] = { "names", "action", "errnoRet", "args", NULL };
	struct condition conditions[MAX_CONDITIONS];
	const struct json *names = json_get(item, "names"), *args = json_get(item, "args");
	int64_t code = EPERM;
	uint32_t result;
	unsigned count = 0;

	if (spec_members(item, "linux.seccomp.syscalls", known, NULL, err) < 0 || spec_int(item, "linux.seccomp.syscalls", "errnoRet", 0, 0xffff, &code, err) < 0)
		return -1;
	if (action(json_text(json_get(item, "action")), code, &result) < 0)
		return bad(err, "has an action that is unknown or, as SCMP_ACT_NOTIFY, not supported by this runtime");
	for (const struct json *arg = args ? args->first : NULL; arg; arg = arg->next) {
		if (count == MAX_CONDITIONS)
			return bad(err, "has a rule with more than six arguments");
		if (condition(arg, &conditions[count++], err) < 0)
			return -1;
	}
	/* A name no kernel has is a call nobody can make. */
	for (const struct json *name = names ? names->first : NULL; name; name = name->next)
		for (size_t index = 0; index < call_count; index++)
			if (json_text(name) && strcmp(calls[index].name, name->text) == 0 &&
			    decide(&decisions[calls[index].number], conditions, count, result, &settled[calls[index].number]) < 0)
				return bad(err, "has more rules than fit");
	return 0;
}

static int compile(const struct json *list, const struct call *calls, size_t count, int wide, uint32_t fallback, struct err *err)
{
	static int settled[MAX_NUMBER];
	uint32_t beyond = fallback == SECCOMP_RET_ALLOW || fallback == SECCOMP_RET_LOG ? fallback : SECCOMP_RET_ERRNO | ENOSYS;

	rule_count = 0;
	memset(settled, 0, sizeof(settled));
	for (int number = 0; number < MAX_NUMBER; number++)
		decisions[number] = (struct decision){ 1, beyond, -1 };
	for (size_t index = 0; index < count; index++)
		decisions[calls[index].number].result = fallback;
	for (const struct json *item = list ? list->first : NULL; item; item = item->next)
		if (apply(item, calls, count, settled, err) < 0)
			return -1;
	return emit_abi(calls[count - 1].number, wide, fallback, beyond) < 0 ? bad(err, "needs a program longer than the kernel takes") : 0;
}

static int has_i386(const struct json *list)
{
	for (const struct json *item = list ? list->first : NULL; item; item = item->next)
		if (json_text(item) && strcmp(item->text, "SCMP_ARCH_X86") == 0)
			return 1;
	return 0;
}

int spec_seccomp(const struct json *seccomp, struct process_plan *plan, struct err *err)
{
	static const char *const known[] = { "defaultAction", "defaultErrnoRet", "architectures", "syscalls", NULL };
	static const char *const refused[] = { "flags", "listenerPath", "listenerMetadata", NULL };
	int64_t code = EPERM;
	uint32_t fallback;

	if (!seccomp)
		return 0;
	if (spec_members(seccomp, "linux.seccomp", known, refused, err) < 0 ||
	    spec_int(seccomp, "linux.seccomp", "defaultErrnoRet", 0, 0xffff, &code, err) < 0)
		return -1;
	if (action(json_text(json_get(seccomp, "defaultAction")), code, &fallback) < 0)
		return bad(err, "has a default action that is unknown or not supported by this runtime");
	length = 0;
	if (load((unsigned)offsetof(struct seccomp_data, arch)) < 0 || emit(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0) < 0 ||
	    emit(BPF_JMP | BPF_JA, 0, 0, 0) < 0)
		return -1;
	size_t jump = length - 1;
	load((unsigned)offsetof(struct seccomp_data, nr));
	emit(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
	emit(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM, 0, 0);
	if (compile(json_get(seccomp, "syscalls"), X86_64_CALLS, sizeof(X86_64_CALLS) / sizeof(*X86_64_CALLS), 1, fallback, err) < 0)
		return -1;
	program[jump].k = (uint32_t)(length - jump - 1);
	emit(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_I386, 1, 0);
	if (emit(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0) < 0)
		return bad(err, "needs a program longer than the kernel takes");
	if (has_i386(json_get(seccomp, "architectures"))) {
		if (compile(json_get(seccomp, "syscalls"), I386_CALLS, sizeof(I386_CALLS) / sizeof(*I386_CALLS), 0, fallback, err) < 0)
			return -1;
	} else if (emit(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0) < 0) {
		return bad(err, "needs a program longer than the kernel takes");
	}
	uint8_t *copy = malloc(length * sizeof(*program));
	if (!copy)
		return err_set(err, ENOMEM, "read config.json", "out of memory");
	memcpy(copy, program, length * sizeof(*program));
	plan->seccomp = copy;
	plan->seccomp_length = (uint32_t)(length * sizeof(*program));
	return 0;
}
