#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroup.h"
#include "io.h"

/*
 * The v2 device controller is a program on the group. It gets the wanted access (low 16 bits of
 * access_type: 1 block, 2 char; high 16 bits: 1 mknod, 2 read, 4 write), major and minor, and
 * returns 1 to allow. Rules are tried last to first, as the last one that matches wins.
 */
enum { RULE_INSTRUCTIONS = 10, MAX_RULES = 200, BPF_ROOM = MAX_RULES * RULE_INSTRUCTIONS + 16 };

static struct bpf_insn make(uint8_t code, uint8_t dst, uint8_t src, int16_t offset, int32_t imm)
{
	struct bpf_insn insn = { .code = code, .dst_reg = dst & 15, .src_reg = src & 15, .off = offset, .imm = imm };

	return insn;
}

/* The kernel refuses a program with instructions that are never reached. */
static int matches_all(const struct device_rule *rule)
{
	return rule->type == 'a' && rule->access == 7;
}

static size_t emit_rule(struct bpf_insn *out, const struct device_rule *rule)
{
	size_t n = 0, jumps[4], jump_count = 0;
	int32_t access = (rule->access & 4 ? 1 : 0) | (rule->access & 1 ? 2 : 0) | (rule->access & 2 ? 4 : 0);

	if (rule->type != 'a') {
		jumps[jump_count++] = n;
		out[n++] = make(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, 0, rule->type == 'b' ? 1 : 2);
	}
	if (access != 7) {
		/* Skip the rule unless every wanted bit is covered by it. */
		out[n++] = make(BPF_ALU | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_3, 0, 0);
		out[n++] = make(BPF_ALU | BPF_AND | BPF_K, BPF_REG_1, 0, 0, access);
		jumps[jump_count++] = n;
		out[n++] = make(BPF_JMP | BPF_JNE | BPF_X, BPF_REG_1, BPF_REG_3, 0, 0);
	}
	if (rule->type != 'a' && rule->major >= 0) {
		jumps[jump_count++] = n;
		out[n++] = make(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_4, 0, 0, rule->major);
	}
	if (rule->type != 'a' && rule->minor >= 0) {
		jumps[jump_count++] = n;
		out[n++] = make(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_5, 0, 0, rule->minor);
	}
	out[n++] = make(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, rule->allow ? 1 : 0);
	out[n++] = make(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	for (size_t index = 0; index < jump_count; index++)
		out[jumps[index]].off = (int16_t)(n - jumps[index] - 1);
	return n;
}

int cgroup_bpf_devices(int group, const struct device_rule *rules, size_t count, struct err *err)
{
	static struct bpf_insn program[BPF_ROOM];
	static const char license[] = "";
	union bpf_attr attr;
	size_t n = 0;

	if (count > MAX_RULES)
		return err_set(err, E2BIG, "restrict devices", "more than %d device rules", MAX_RULES);
	program[n++] = make(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, 0, 0);
	program[n++] = make(BPF_ALU | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff);
	program[n++] = make(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_3, BPF_REG_1, 0, 0);
	program[n++] = make(BPF_ALU | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16);
	program[n++] = make(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_4, BPF_REG_1, 4, 0);
	program[n++] = make(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_5, BPF_REG_1, 8, 0);
	size_t index = count;
	while (index > 0) {
		n += emit_rule(program + n, &rules[--index]);
		if (matches_all(&rules[index]))
			break;
	}
	if (count == 0 || !matches_all(&rules[index])) {
		program[n++] = make(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0);
		program[n++] = make(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	}

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)program;
	attr.insn_cnt = (uint32_t)n;
	attr.license = (uint64_t)(uintptr_t)license;
	CLEANUP_CLOSE int loaded = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	if (loaded < 0)
		return err_sys(err, "restrict devices", "load the device program");
	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)group;
	attr.attach_bpf_fd = (uint32_t)loaded;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)) < 0)
		return err_sys(err, "restrict devices", "attach the device program");
	return 0;
}
