#include "launch-userns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "creds.h"
#include "io.h"
#include "mounts.h"
#include "rootfs.h"
#include "userns.h"

static int open_namespace(struct shim *shim, struct err *err)
{
	const struct ns_plan *user = &shim->plan.namespaces[NS_USER];
	const struct id_map *ids = &shim->plan.ids;

	if (user->mode == NS_PRIVATE)
		shim->userns = userns_make(ids, 0, err);
	else
		shim->userns = userns_of(&user->process, &shim->ids, err);
	if (user->mode == NS_JOIN && shim->userns >= -1 && memcmp(&shim->ids, ids, sizeof(*ids)) != 0)
		return err_set(err, EINVAL, "join namespace",
			       "the container whose namespaces are to be joined has %s: run this one with the host's user namespace",
			       shim->userns < 0 ? "the host's user namespace" : "a user namespace with other ids");
	shim->ids = *ids;
	return shim->userns < 0 ? -1 : 0;
}

int userns_prepare(struct shim *shim, struct err *err)
{
	const struct plan *plan = &shim->plan;

	if (plan->namespaces[NS_USER].mode == NS_HOST)
		return 0;
	if (open_namespace(shim, err) < 0 || stdio_give(&shim->stdio, &shim->ids, err) < 0 || (shim->made.nodes = nodes_make(plan, err)) < 0)
		return -1;
	shim->made.sources = mounts_open_for(plan, shim->joined[NS_IPC], shim->userns, err);
	/* The overlay acts as who mounts it, and only the namespace's ids can own files in its layers. */
	if (!shim->made.sources || creds_make_files_as(shim->ids.uid, shim->ids.gid, err) < 0)
		return -1;
	shim->made.root = rootfs_mount(plan, shim->userns, err);
	return shim->made.root < 0 ? -1 : creds_make_files_as(0, 0, err);
}

void userns_close_premounts(const struct shim *shim)
{
	if (shim->userns < 0)
		return;
	for (size_t index = 0; index < shim->plan.mount_count; index++)
		if (shim->made.sources[index] >= 0)
			close(shim->made.sources[index]);
	close(shim->made.root);
	close(shim->made.nodes);
}

int userns_set_oom_score(const struct shim *shim, struct err *err)
{
	char path[48], text[16];

	if (shim->userns < 0 || !shim->plan.process.has_oom_score_adj)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)shim->pid);
	snprintf(text, sizeof(text), "%d", shim->plan.process.oom_score_adj);
	return write_file_at(AT_FDCWD, path, text) < 0 ? err_sys(err, "set oom score", "%s", text) : 0;
}
