#ifndef ATOLL_FAILPOINT_H
#define ATOLL_FAILPOINT_H

/*
 * Places where a test can have the process that comes there killed, or have it find (`failpoint_is`) that the kernel lacks something.
 * Only in build/atoll-shim-failpoints; in what is shipped they are nothing.
 */
#ifdef ATOLL_FAILPOINTS
/* Takes the name from the file "failpoint" of the working directory. */
void failpoint_arm(void);
void failpoint(const char *name);
int failpoint_is(const char *name);
#else
#define failpoint_arm() ((void)0)
#define failpoint(name) ((void)0)
#define failpoint_is(name) 0
#endif

#endif
