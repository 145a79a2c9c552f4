#include "plan-records.h"
#include "selinux.h"

int plan_mount(struct plan *plan, struct cursor *record, struct err *err)
{
	struct mount_plan *mount = plan_grow((void **)&plan->mounts, &plan->mount_count, sizeof(*mount), err);

	if (!mount)
		return -1;
	mount->kind = (enum mount_kind)cursor_number(record, 1);
	mount->reach = (enum reach)cursor_number(record, 1);
	mount->propagation = (enum propagation)cursor_number(record, 1);
	mount->attributes = cursor_number(record, 8);
	mount->source = cursor_text(record);
	mount->target = cursor_text(record);
	mount->option_count = (uint16_t)cursor_number(record, 2);
	if (mount->kind < MOUNT_BIND || mount->kind >= MOUNT_KINDS || mount->propagation >= PROP_KINDS ||
	    mount->reach >= REACH_KINDS)
		return plan_bad(err, "unknown mount kind, reach or propagation");
	if (mount->option_count > PLAN_MAX_OPTIONS || mount->target[0] != '/' || (mount->attributes & ~0xffull))
		return plan_bad(err, "a mount with too many options, a relative target or unknown flags");
	for (unsigned index = 0; index < mount->option_count; index++) {
		mount->options[index][0] = cursor_text(record);
		mount->options[index][1] = cursor_text(record);
	}
	return 0;
}

int plan_mount_detail(struct plan *plan, unsigned tag, struct cursor *record, struct err *err)
{
	if (plan->mount_count == 0)
		return plan_bad(err, "a detail of a mount before any mount");
	struct mount_plan *mount = &plan->mounts[plan->mount_count - 1];

	if (mount->kind != MOUNT_IMAGE && (tag == TAG_MOUNT_LOWER || mount->kind != MOUNT_BIND))
		return plan_bad(err, "a layer or path of a mount that has none");
	if (tag == TAG_MOUNT_IDMAPPED) {
		mount->idmapped = cursor_number(record, 1) != 0;
		return mount->kind == MOUNT_BIND ? 0 : plan_bad(err, "ids of a mount that is no bind");
	}
	if (tag == TAG_MOUNT_RELABEL) {
		mount->relabel = (enum relabel)cursor_number(record, 1);
		mount->label = cursor_text(record);
		return mount->kind == MOUNT_BIND && mount->relabel > RELABEL_NOT && mount->relabel < RELABEL_KINDS && selinux_is_label(mount->label)
			       ? 0 : plan_bad(err, "a label for files that is malformed or of a mount that is no bind");
	}
	if (tag == TAG_MOUNT_LOWER)
		return plan_append(&mount->lowers, cursor_text(record), err);
	if (mount->subpath)
		return plan_bad(err, "a second path of one mount");
	mount->subpath = cursor_text(record);
	return 0;
}
