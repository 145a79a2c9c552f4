#ifndef ATOLL_FLOWS_H
#define ATOLL_FLOWS_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* What is looked at of a flow the kernel remembers. Addresses are in network order, of `address_length` 4 or 16. */
struct flow {
	const uint8_t *destination; /* as the client began it */
	const uint8_t *answerer;    /* who answers: another one when the flow is translated */
	size_t address_length;
	uint16_t port; /* of the destination */
	uint8_t protocol;
};

/*
 * Ends what the kernel remembers of the flows of this process's network namespace that `is_wanted` says yes to, so that their next
 * datagram is looked up in the rules. Looks at all flows of the host; what ends or begins meanwhile may be passed over, for it was
 * looked up in the present rules.
 */
int flows_forget(int (*is_wanted)(const struct flow *flow, const void *context), const void *context, struct err *err);

/*
 * Whether this process's network namespace has any; 1 also where the kernel does not say. To look at the flows of the whole host takes it
 * up to 10 ms of a processor.
 */
int flows_exist(void);

#endif
