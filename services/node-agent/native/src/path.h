#ifndef ATOLL_PATH_H
#define ATOLL_PATH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Path resolution inside an untrusted root. `root` is a directory descriptor taken as "/":
 * absolute links and ".." stay inside it, magic links (/proc/self/fd/N) are refused.
 * All return -1 with errno.
 */

/* openat2 with RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | extra. EAGAIN from a racing rename is retried. */
int root_open(int root, const char *path, uint64_t flags, uint64_t mode, uint64_t extra_resolve);

/* O_PATH descriptor of the folder, made (0755, root) where missing, one component at a time. */
int root_mkdirs(int root, const char *path, mode_t mode);

/* O_PATH descriptor of an existing or newly made mount target: a folder, or an empty file. */
int root_mount_target(int root, const char *path, int is_directory);

/*
 * O_PATH descriptor of the folder that holds the last component, which is copied to `name`
 * (NAME_MAX + 1 bytes). A path that ends in "/", "." or ".." gives "." as name.
 */
int root_parent(int root, const char *path, int make_missing, char *name);

/* Path of an O_PATH descriptor for the calls that have no *at form: /proc/self/fd/N. */
void fd_path(int fd, char *out, size_t size);

/* EINVAL unless `name` is one plain component. */
int check_component(const char *name);

#endif
