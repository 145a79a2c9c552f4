#ifndef ATOLL_PLAN_RECORDS_H
#define ATOLL_PLAN_RECORDS_H

#include "cursor.h"
#include "plan.h"

/* Puts one record into the plan. A payload of a wrong form sets record->bad or is left unread. */
int plan_record(struct plan *plan, unsigned tag, struct cursor *record, struct err *err);
int limit_record(struct limits_plan *limits, unsigned tag, struct cursor *record, struct err *err);
int plan_mount(struct plan *plan, struct cursor *record, struct err *err);
/* A record that says more about the mount before it. */
int plan_mount_detail(struct plan *plan, unsigned tag, struct cursor *record, struct err *err);

int plan_bad(struct err *err, const char *what);
int plan_append(struct text_list *list, const char *text, struct err *err);
void *plan_grow(void **items, size_t *count, size_t size, struct err *err);

#endif
