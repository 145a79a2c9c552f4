#include "selinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "attribute.h"
#include "io.h"

static const char STEP[] = "set SELinux label";

enum { LABEL_MAX_BYTES = 1023 };

int selinux_enabled(void)
{
	struct statfs info;
	CLEANUP_FREE char *own = NULL;

	if (statfs("/sys/fs/selinux", &info) < 0 || (unsigned long)info.f_type != SELINUX_MAGIC)
		return 0;
	/* Before a policy is loaded everything is "kernel". */
	own = read_file_at(AT_FDCWD, "/proc/self/attr/current", LABEL_MAX_BYTES + 1, NULL);
	return own && *own && strcmp(own, "kernel") != 0;
}

int selinux_is_label(const char *text)
{
	size_t length = strlen(text), fields = 1;

	if (length == 0 || length > LABEL_MAX_BYTES)
		return 0;
	for (; *text; text++) {
		fields += *text == ':';
		if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f || *text == '"' || *text == '\'' || *text == '\\')
			return 0;
	}
	return fields >= 3;
}

int selinux_open(struct err *err)
{
	if (!selinux_enabled())
		return err_set(err, ENOTSUP, STEP, "this kernel has no SELinux, or it is off");
	return attribute_open("selinux", STEP, err);
}

int selinux_set(int attribute, const char *label, struct err *err)
{
	size_t length = strlen(label);

	if (write(attribute, label, length) == (ssize_t)length)
		return 0;
	if (errno == EINVAL)
		return err_set(err, EINVAL, STEP, "the host's SELinux policy does not know the label \"%s\"", label);
	return err_sys(err, STEP, "SELinux label \"%s\"", label);
}
