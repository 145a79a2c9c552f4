#include "apparmor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attribute.h"
#include "io.h"

static const char STEP[] = "set AppArmor profile";

enum { NAME_MAX_BYTES = 255, COMMAND_BYTES = 4096 };

int apparmor_enabled(void)
{
	CLEANUP_FREE char *text = read_file_at(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", 16, NULL);

	return text && text[0] == 'Y';
}

int apparmor_is_name(const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || length > NAME_MAX_BYTES || *text == ':' || *text == '&' || strstr(text, "//&"))
		return 0;
	for (; *text; text++)
		if ((unsigned char)*text <= ' ' || *text == 0x7f)
			return 0;
	return 1;
}

int apparmor_open(struct err *err)
{
	if (!apparmor_enabled())
		return err_set(err, ENOTSUP, STEP, "this kernel has no AppArmor, or it is off");
	return attribute_open("apparmor", STEP, err);
}

int apparmor_set(int attribute, const char *profile, struct err *err)
{
	char text[COMMAND_BYTES];
	int length = snprintf(text, sizeof(text), "exec %s", profile);

	if (length >= (int)sizeof(text))
		return err_set(err, ENAMETOOLONG, STEP, "the name of the AppArmor profile is too long");
	/* One write: the kernel takes the name whole or not at all. */
	if (write(attribute, text, (size_t)length) == length)
		return 0;
	if (errno == ENOENT)
		return err_set(err, ENOENT, STEP, "the AppArmor profile \"%s\" is not loaded on this host", profile);
	return err_sys(err, STEP, "AppArmor profile \"%s\"", profile);
}
