#ifndef ATOLL_PLAN_ENDPOINTS_H
#define ATOLL_PLAN_ENDPOINTS_H

#include "cursor.h"
#include "plan.h"

/* Puts a record about endpoints into the plan; -1 with err for one that is malformed. */
int endpoint_record(struct endpoints_plan *plan, unsigned tag, struct cursor *record, struct err *err);
/* Reads records about endpoints only (CONNECT frame). Free with endpoints_free. */
int endpoints_parse(const uint8_t *bytes, size_t length, struct endpoints_plan *plan, struct err *err);
void endpoints_free(struct endpoints_plan *plan);

#endif
