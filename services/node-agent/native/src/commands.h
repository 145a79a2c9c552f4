#ifndef ATOLL_COMMANDS_H
#define ATOLL_COMMANDS_H

/*
 * Sub-commands: argc and argv after the name; the result is the exit code. Failures are one JSON line: of `spawner` on standard
 * output, of all others on standard error.
 */
int command_spawner(int argc, char **argv);
int command_cleanup(int argc, char **argv);
int command_layer_apply(int argc, char **argv);
int command_layer_diff(int argc, char **argv);
int command_changes(int argc, char **argv);
int command_archive_get(int argc, char **argv);
int command_archive_put(int argc, char **argv);
int command_archive_stat(int argc, char **argv);
int command_mount_overlay(int argc, char **argv);
int command_umount(int argc, char **argv);
int command_volume_pack(int argc, char **argv);
int command_volume_unpack(int argc, char **argv);
int command_volume_place(int argc, char **argv);
int command_resolve_user(int argc, char **argv);
int command_check_userns(int argc, char **argv);
int command_check_storage_limit(int argc, char **argv);
int command_features(int argc, char **argv);
int command_watch_tables(int argc, char **argv);
int command_forget_flows(int argc, char **argv);
int command_change_elements(int argc, char **argv);

#endif
