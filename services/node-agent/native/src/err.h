#ifndef ATOLL_ERR_H
#define ATOLL_ERR_H

/*
 * Error convention: a function that can fail takes `struct err *` last, returns a negative
 * value on failure and has then filled it in. `step` is the name of the failing step as
 * listed in README.md, `code` the errno (0 when the failure is not the kernel's).
 */
struct err {
	int code;
	char step[48];
	char text[400];
};

/* Both return -1, so that `return err_sys(...)` is the whole failure path. */
int err_sys(struct err *err, const char *step, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int err_set(struct err *err, int code, const char *step, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Symbolic name such as "ENOENT"; "EUNKNOWN" for others, "" for 0. */
const char *errno_name(int code);

/* Writes {"ok":false,"step":…,"errno":…,"message":…} and a line feed to `fd`. */
void err_report(const struct err *err, int fd);

/* Appends `text` as the inside of a JSON string; always terminates; returns the new length. */
unsigned long json_escape(char *out, unsigned long at, unsigned long size, const char *text);

#endif
