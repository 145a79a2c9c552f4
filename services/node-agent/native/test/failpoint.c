#include "../src/failpoint.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* 64 bytes: the name, and last whether it has happened. Shared by all that are forked from the spawner, so it happens once. */
enum { SIZE = 64, FIRED = SIZE - 1 };
static char *armed;

void failpoint_arm(void)
{
	int fd = open("failpoint", O_RDWR | O_CLOEXEC);
	void *shared = fd < 0 ? MAP_FAILED : mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (shared != MAP_FAILED)
		armed = shared;
	if (fd >= 0)
		close(fd);
}

void failpoint(const char *name)
{
	if (!armed || armed[FIRED] || strcmp(armed, name) != 0)
		return;
	armed[FIRED] = 1;
	kill(getpid(), SIGKILL);
	/* The first process of a pid namespace does not obey itself. */
	_exit(137);
}

int failpoint_is(const char *name)
{
	return armed && strcmp(armed, name) == 0;
}
