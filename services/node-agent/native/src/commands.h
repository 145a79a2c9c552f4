#ifndef ATOLL_COMMANDS_H
#define ATOLL_COMMANDS_H

/*
 * Sub-commands: argc and argv after the name; the result is the exit code. Failures are one JSON line: of `run` on standard
 * output, of `exec` a REPLY frame, of all others on standard error.
 */
int command_run(int argc, char **argv);
int command_exec(int argc, char **argv);
int command_cleanup(int argc, char **argv);
int command_layer_apply(int argc, char **argv);
int command_layer_diff(int argc, char **argv);
int command_changes(int argc, char **argv);
int command_archive_get(int argc, char **argv);
int command_archive_put(int argc, char **argv);
int command_archive_stat(int argc, char **argv);
int command_mount_overlay(int argc, char **argv);
int command_umount(int argc, char **argv);
int command_resolve_user(int argc, char **argv);
int command_features(int argc, char **argv);

#endif
