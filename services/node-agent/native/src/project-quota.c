#include "project-quota.h"

#include <errno.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443
#endif

/* The calls with X are named after xfs, and the kernel has them for all file systems. */
static int quota(int folder, unsigned command, uint32_t id, void *data)
{
	return (int)syscall(SYS_quotactl_fd, folder, QCMD(command, PRJQUOTA), id, data);
}

int project_quota_state(int folder)
{
	struct fs_quota_statv state = { .qs_version = FS_QSTATV_VERSION1 };

	if (quota(folder, Q_XGETQSTATV, 0, &state) < 0)
		return -1;
	return !(state.qs_flags & FS_QUOTA_PDQ_ACCT) ? 0 : state.qs_flags & FS_QUOTA_PDQ_ENFD ? 2 : 1;
}

int project_use(int folder, uint32_t id, struct project_use *use)
{
	struct fs_disk_quota found;

	memset(&found, 0, sizeof(found));
	/* xfs has nothing of a project that nobody has used. */
	if (quota(folder, Q_XGETQUOTA, id, &found) < 0 && errno != ENOENT)
		return -1;
	*use = (struct project_use){ found.d_blk_hardlimit, found.d_bcount, found.d_icount,
				     found.d_blk_hardlimit || found.d_blk_softlimit || found.d_ino_hardlimit || found.d_ino_softlimit ||
					     found.d_rtb_hardlimit || found.d_rtb_softlimit };
	return 0;
}

int project_limit(int folder, uint32_t id, uint64_t hard_blocks)
{
	struct fs_disk_quota limit;

	memset(&limit, 0, sizeof(limit));
	limit.d_version = FS_DQUOT_VERSION;
	limit.d_flags = FS_PROJ_QUOTA;
	limit.d_fieldmask = FS_DQ_BHARD;
	limit.d_id = id;
	limit.d_blk_hardlimit = hard_blocks;
	return quota(folder, Q_XSETQLIM, id, &limit);
}

int project_get(int folder, uint32_t *id, int *inherited)
{
	struct fsxattr attributes;

	if (ioctl(folder, FS_IOC_FSGETXATTR, &attributes) < 0)
		return -1;
	*id = attributes.fsx_projid;
	*inherited = !!(attributes.fsx_xflags & FS_XFLAG_PROJINHERIT);
	return 0;
}

int project_set(int folder, uint32_t id, int inherited)
{
	struct fsxattr attributes;

	if (ioctl(folder, FS_IOC_FSGETXATTR, &attributes) < 0)
		return -1;
	attributes.fsx_projid = id;
	attributes.fsx_xflags &= ~(uint32_t)FS_XFLAG_PROJINHERIT;
	if (inherited)
		attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
	return ioctl(folder, FS_IOC_FSSETXATTR, &attributes);
}
