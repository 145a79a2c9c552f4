#ifndef ATOLL_PLAN_H
#define ATOLL_PLAN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "relabel.h"

#define PLAN_MAGIC 0x4c505441u
#define PLAN_VERSION 1u

enum {
	PLAN_MAX_BYTES = 4 << 20,
	PLAN_MAX_ITEMS = 65536,
	PLAN_MAX_LOWERS = 128,
	PLAN_MAX_SECCOMP = 4096 * 8,
	PLAN_MAX_OPTIONS = 16,
	PLAN_MAX_ADDRESSES = 16,
};

/* The same table is in src/runtime/plan-tags.ts. */
enum plan_tag {
	TAG_ID = 1, TAG_ARG, TAG_ENV, TAG_CWD, TAG_USER, TAG_IDS, TAG_GROUP, TAG_GROUP_NAME, TAG_TTY, TAG_STDIN,
	TAG_RLIMIT, TAG_CAPS, TAG_NO_NEW_PRIVS, TAG_SECCOMP, TAG_OOM_SCORE_ADJ, TAG_UMASK,
	TAG_NAMESPACE, TAG_HOSTNAME, TAG_DOMAINNAME, TAG_LOWER, TAG_UPPER, TAG_WORK, TAG_ROOT_DIRECTORY,
	TAG_ROOT_READONLY, TAG_MOUNT, TAG_DEVICE, TAG_LINK, TAG_MASK, TAG_READONLY_PATH, TAG_SYSCTL,
	TAG_CGROUP, TAG_LIMIT, TAG_LIMIT_TEXT, TAG_DEVICE_RULE, TAG_BLKIO, TAG_NETWORK, TAG_LOG, TAG_TARGET,
	TAG_MOUNT_LOWER, TAG_MOUNT_SUBPATH, TAG_RUNTIME, TAG_RUNTIME_EXEC, TAG_RUNTIME_RESOURCES, TAG_ID_MAP, TAG_MOUNT_IDMAPPED, TAG_APPARMOR,
	TAG_STORAGE_LIMIT,
	TAG_ENDPOINT = 50, TAG_GATEWAY, TAG_ENDPOINT_SYSCTL, TAG_DNS, TAG_API, TAG_BINDING, TAG_MACVLAN,
	TAG_SELINUX, TAG_MOUNT_LABEL, TAG_MOUNT_RELABEL, TAG_LAYER_LABEL, TAG_END,
};

enum ns_kind { NS_PID = 1, NS_NET, NS_IPC, NS_UTS, NS_CGROUP, NS_USER, NS_KINDS };
enum ns_mode { NS_HOST, NS_PRIVATE, NS_JOIN, NS_PATH };
enum mount_kind {
	MOUNT_BIND = 1, MOUNT_PROC, MOUNT_SYSFS, MOUNT_TMPFS, MOUNT_DEV, MOUNT_DEVPTS, MOUNT_MQUEUE, MOUNT_CGROUP,
	MOUNT_IMAGE, MOUNT_SHM, MOUNT_KINDS
};
/* How far a bind reaches: RECURSIVE_TOP takes the mounts below along and leaves their flags alone. */
enum reach { REACH_ONE, REACH_RECURSIVE, REACH_RECURSIVE_TOP, REACH_KINDS };
enum propagation { PROP_PRIVATE, PROP_RPRIVATE, PROP_SLAVE, PROP_RSLAVE, PROP_SHARED, PROP_RSHARED, PROP_KINDS };
enum stdin_mode { STDIN_NULL, STDIN_OPEN, STDIN_ONCE };
enum limit_kind {
	LIMIT_MEMORY = 1, LIMIT_MEMORY_SWAP, LIMIT_RESERVATION, LIMIT_SWAPPINESS, LIMIT_OOM_DISABLE,
	LIMIT_CPU_SHARES, LIMIT_CPU_QUOTA, LIMIT_CPU_PERIOD, LIMIT_PIDS, LIMIT_BLKIO_WEIGHT,
	LIMIT_RT_PERIOD, LIMIT_RT_RUNTIME, LIMIT_KINDS
};
enum limit_text_kind { LIMIT_CPUSET_CPUS = 1, LIMIT_CPUSET_MEMS, LIMIT_TEXT_KINDS };
enum blkio_kind { BLKIO_READ_BPS = 1, BLKIO_WRITE_BPS, BLKIO_READ_IOPS, BLKIO_WRITE_IOPS, BLKIO_WEIGHT, BLKIO_KINDS };

struct text_list {
	const char **items; /* NULL terminated once it holds anything */
	size_t count;
	size_t room;
};

struct identity {
	int32_t pid;
	uint64_t ticks;
};

struct ns_plan {
	enum ns_mode mode;
	struct identity process;
	const char *path;
};

/* Host ids of a user namespace's 0, and how many there are. */
struct id_map { uint32_t uid, gid, size; };

struct rlimit_plan { uint32_t resource; uint64_t soft, hard; };
struct mount_plan {
	enum mount_kind kind;
	enum reach reach;
	enum propagation propagation;
	uint64_t attributes;
	const char *source, *target;
	const char *subpath;     /* below the source, or NULL */
	int idmapped;            /* of a bind: Atoll's own files, shown with the ids of the user namespace */
	enum relabel relabel;    /* of a bind: before it is mounted, its source gets `label` */
	const char *label;
	struct text_list lowers; /* of an image: its layers, top first */
	uint16_t option_count;
	const char *options[PLAN_MAX_OPTIONS][2];
};
struct device_plan { const char *path; char type; uint32_t major, minor, mode, uid, gid; };
struct pair_plan { const char *key, *value; };
struct device_rule { int allow; char type; int32_t major, minor; uint8_t access; };
struct blkio_plan { enum blkio_kind kind; uint32_t major, minor; uint64_t rate; };

struct limits_plan {
	uint32_t set; /* bit n: numbers[n] was given */
	int64_t numbers[LIMIT_KINDS];
	const char *texts[LIMIT_TEXT_KINDS];
	struct blkio_plan *blkio;
	size_t blkio_count;
	const char *runtime_resources; /* the same as OCI JSON, for a container of another runtime */
};

struct network_plan {
	const char *bridge, *host_interface, *container_interface;
	uint8_t address[4], prefix, gateway[4], mac[6];
	uint32_t mtu;
};

struct ip_plan { uint8_t family, bytes[16], prefix; };
/*
 * A link to a network of a user; of `link` the addresses are not used. With a parent it is a macvlan link on that interface: it has no bridge,
 * and of its host_interface there is only the name, which tells it from others.
 */
struct endpoint_plan {
	struct network_plan link;
	const char *parent;
	uint32_t macvlan_mode; /* MACVLAN_MODE_* of the kernel */
	struct ip_plan addresses[PLAN_MAX_ADDRESSES];
	size_t address_count;
};
/* The default route of one family; the prefix is not used. */
struct gateway_plan { const char *interface; struct ip_plan address; };
struct endpoints_plan {
	struct endpoint_plan *items;
	size_t count;
	struct gateway_plan *gateways;
	size_t gateway_count;
	struct pair_plan *sysctls;
	size_t sysctl_count;
	const char *dns; /* socket of the resolver, or NULL */
	const char *binding; /* bridge table that knows which addresses a link may speak with, or NULL */
};

struct process_plan {
	struct text_list argv, env;
	const char *cwd;
	const char *user; /* Docker user string, or NULL when uid and gid are given */
	uint32_t uid, gid;
	uint32_t *groups;
	size_t group_count;
	struct text_list group_names;
	int tty;
	uint16_t rows, cols;
	enum stdin_mode stdin_mode;
	struct rlimit_plan *rlimits;
	size_t rlimit_count;
	uint64_t cap_bounding, cap_permitted, cap_effective, cap_inheritable, cap_ambient;
	int no_new_privs;
	const uint8_t *seccomp;
	uint32_t seccomp_length; /* bytes, a multiple of 8 */
	const char *apparmor; /* profile of the program, "unconfined" for none; NULL: that of this process stays */
	const char *selinux;  /* label of the program; NULL: what the policy says of one that this process starts */
	int has_oom_score_adj;
	int32_t oom_score_adj;
	uint32_t umask;
	/* Of `atoll-oci` only, never from bytes. */
	int outlives_us;    /* no death signal */
	int exact_groups;   /* the further groups alone, as the OCI specification has it */
	int start_listener; /* a socket that START comes over instead of the pair; 0: none */
	unsigned preserve_fds; /* descriptors from 3 on that the program gets too */
	int (*before_exec)(pid_t pid, struct err *err);
};

/* All texts point into the bytes given to plan_parse, which must outlive the plan. */
struct plan {
	const char *id;
	struct process_plan process;
	struct ns_plan namespaces[NS_KINDS];
	struct id_map ids; /* of a user namespace that is not the host's */
	const char *hostname, *domainname;
	struct text_list lowers;
	const char *upper, *work, *root_directory;
	int root_readonly;
	uint64_t storage_limit; /* bytes that upper and work may hold; 0: no limit */
	const char *mount_label; /* SELinux label of all files of the root and of fresh file systems, or NULL */
	const char *layer_label; /* the same of layers on disk, whose own label counts where programs are mapped, or NULL */
	struct mount_plan *mounts;
	size_t mount_count;
	struct device_plan *devices;
	size_t device_count;
	struct pair_plan *links;
	size_t link_count;
	struct text_list masks, readonly_paths;
	struct pair_plan *sysctls;
	size_t sysctl_count;
	const char *cgroup;
	struct limits_plan limits;
	struct device_rule *device_rules;
	size_t device_rule_count;
	int has_network;
	struct network_plan network;
	struct endpoints_plan endpoints;
	const char *api; /* socket of the agent that carries connections to the cluster's API, or NULL: the container has none */
	uint64_t log_max_bytes;
	uint32_t log_max_files;
	const char *log_directory;
	int has_target;
	struct identity target;
	int32_t host_pid; /* of the first process, as the host sees it; known to it only where somebody told */
	int (*before_pivot)(pid_t pid, struct err *err); /* in the first process, with the host's root still there */
	const char *runtime; /* path of the OCI runtime that carries the container out; NULL: this program */
	const char *runtime_bundle, *runtime_container, *runtime_process; /* of an exec with it: OCI bundle, id, OCI process as JSON */
};

/*
 * Reads a plan; every length, count, enumeration and text is checked. `bytes` need not be aligned.
 * With `is_exec` the records of a container (mounts, root, network …) are refused and a target is needed.
 */
int plan_parse(const uint8_t *bytes, size_t length, int is_exec, struct plan *plan, struct err *err);

/* Reads limit records only (UPDATE frame). Free with limits_free. */
int limits_parse(const uint8_t *bytes, size_t length, struct limits_plan *limits, struct err *err);

void plan_free(struct plan *plan);
void limits_free(struct limits_plan *limits);

#endif
