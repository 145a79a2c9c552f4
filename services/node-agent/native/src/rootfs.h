#ifndef ATOLL_ROOTFS_H
#define ATOLL_ROOTFS_H

#include "err.h"
#include "plan.h"

/*
 * A detached overlay mount (never in any mount table). Lower folders are top first; no upper folder: read-only. Its files have the ids
 * of `userns`, as if the folders' ids were ids in there; -1: as they are. With a `label` it is the SELinux label of all of them, which one
 * layer alone, without an upper folder, cannot have.
 */
int overlay_mount(const struct text_list *lowers, const char *upper, const char *work, const char *label, int userns, struct err *err);

/* Whether layers can be given one by one; else as one text below a page. */
int overlay_has_lowerdir_plus(void);

/* New file system by fsopen with the options and, unless NULL, the SELinux label for all files; a detached mount with the attributes. */
int fs_mount(const char *type, const char *source, const char *const (*options)[2], unsigned option_count, uint64_t attributes,
	     const char *label, struct err *err);

/* Detached mount of the plan's root: the overlay, or a clone of the folder. `userns` as above. */
int rootfs_mount(const struct plan *plan, int userns, struct err *err);

/* Refuses an overlay that could make no folder in `work`, as on a full disk: it is mounted all the same, read-only without a word. */
int rootfs_check_writable(const struct plan *plan, int root, struct err *err);

/* The failure of an fsconfig or fsmount, errno set: the kernel explains it through the context itself. */
int fs_fail(int context, struct err *err, const char *step, const char *what, const char *value);

/* Attaches a detached mount onto an O_PATH descriptor. */
int mount_attach(int mount, int target);

/* Makes `root` (attached, a mount) the root of this mount namespace and drops the old one. */
int rootfs_pivot(int root, struct err *err);

#endif
