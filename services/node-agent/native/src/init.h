#ifndef ATOLL_INIT_H
#define ATOLL_INIT_H

#include "shim.h"

/* The container's first process, from the clone to the exec. The current folder is the bundle. */
_Noreturn void init_main(struct shim *shim, int sync);

#endif
