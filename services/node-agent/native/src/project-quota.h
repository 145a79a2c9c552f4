#ifndef ATOLL_PROJECT_QUOTA_H
#define ATOLL_PROJECT_QUOTA_H

#include <stdint.h>

/* Project quotas of xfs and ext4 through one interface of the kernel (quotactl_fd, Linux 5.14). All give -1 with errno. */

struct project_use {
	uint64_t hard_blocks; /* of 512 bytes; 0: no limit */
	uint64_t blocks, inodes;
	int limited; /* in any way */
};

/* 0 neither, 1 counted only, 2 limits hold. */
int project_quota_state(int folder);
int project_use(int folder, uint32_t id, struct project_use *use);
/* 0 takes the limit away. */
int project_limit(int folder, uint32_t id, uint64_t hard_blocks);

int project_get(int folder, uint32_t *id, int *inherited);
/* `inherited`: also of all that is made in it later. */
int project_set(int folder, uint32_t id, int inherited);

#endif
