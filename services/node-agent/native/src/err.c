#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int err_sys(struct err *err, const char *step, const char *format, ...)
{
	int code = errno;
	va_list args;

	err->code = code;
	snprintf(err->step, sizeof(err->step), "%s", step);
	va_start(args, format);
	int used = vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	if (used < 0)
		used = 0;
	if ((size_t)used < sizeof(err->text))
		snprintf(err->text + used, sizeof(err->text) - (size_t)used, ": %s", strerror(code));
	return -1;
}

int err_set(struct err *err, int code, const char *step, const char *format, ...)
{
	va_list args;

	err->code = code;
	snprintf(err->step, sizeof(err->step), "%s", step);
	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return -1;
}

const char *errno_name(int code)
{
	const char *name;

	if (code == 0)
		return "";
	name = strerrorname_np(code);
	return name ? name : "EUNKNOWN";
}

unsigned long json_escape(char *out, unsigned long at, unsigned long size, const char *text)
{
	for (; *text && at + 8 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\') {
			out[at++] = '\\';
			out[at++] = (char)c;
		} else if (c < 0x20 || c >= 0x7f) {
			at += (unsigned long)snprintf(out + at, size - at, "\\u%04x", c);
		} else {
			out[at++] = (char)c;
		}
	}
	out[at] = '\0';
	return at;
}

void err_report(const struct err *err, int fd)
{
	char line[3072];
	unsigned long at = 0;

	at = (unsigned long)snprintf(line, sizeof(line), "{\"ok\":false,\"step\":\"");
	at = json_escape(line, at, 512, err->step);
	at += (unsigned long)snprintf(line + at, sizeof(line) - at,
				      "\",\"errno\":\"%s\",\"message\":\"", errno_name(err->code));
	at = json_escape(line, at, sizeof(line) - 8, err->text);
	at += (unsigned long)snprintf(line + at, sizeof(line) - at, "\"}\n");
	if (write(fd, line, at) < 0)
		return;
}
