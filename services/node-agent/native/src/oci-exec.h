#ifndef ATOLL_OCI_EXEC_H
#define ATOLL_OCI_EXEC_H

#include "shim.h"

/* Has the container's runtime run one more process, by its `exec`; afterwards it is our child. */
int oci_exec(struct shim *shim, struct err *err);

#endif
