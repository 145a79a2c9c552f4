#ifndef ATOLL_USERNS_H
#define ATOLL_USERNS_H

#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "plan.h"

/*
 * User namespaces of containers. Files that are Atoll's own (layers, volumes, what is in a bundle) keep the ids of their images on
 * disk and are shown in a namespace by idmapped mounts; files of the host are shown as they are.
 */

/* A new namespace with the ids. `reversed` is not for processes: a mount with it shows the host's ids as the namespace would. */
int userns_make(const struct id_map *ids, int reversed, struct err *err);

/*
 * The namespace of a process and its ids: its descriptor, or -1 when it is the one of this process. -2 with err; the process is looked
 * at by pid and verified afterwards.
 */
int userns_of(const struct identity *process, struct id_map *ids, struct err *err);

/* Shows a detached mount's files, not those of mounts below, with the ids of the namespace. -1 with errno. */
int userns_idmap(int mount, int userns);

/*
 * First process of a container in a user namespace: a go-between enters the namespace (and the pid namespace, unless it is -1), so
 * that all that is cloned with `flags` belongs to it, and leaves. Gives the pid, a child of the caller's; 0 in the process itself.
 */
pid_t userns_clone(int userns, int pid_namespace, uint64_t flags, int group, int *pidfd, struct err *err);

/* Becomes the namespace's root, which its creator's user is not. It stays not dumpable; a death signal is to be set anew. */
int userns_become_root(struct err *err);

#endif
