#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "io.h"
#include "network.h"
#include "oci-runtime.h"
#include "plan-endpoints.h"
#include "shim.h"

static int open_netns(const struct shim *shim, struct err *err)
{
	char path[64];

	/* Its child's pid: it is not collected before shim_finish. Another runtime has none before the start. */
	if (shim->pid > 0)
		snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)shim->pid);
	else
		snprintf(path, sizeof(path), OCI_NAMESPACES "/net");
	int netns = open(path, O_RDONLY | O_CLOEXEC);
	return netns < 0 ? err_sys(err, "network", "open the container's namespace") : netns;
}

static int apply(struct shim *shim, const struct endpoints_plan *plan, int netns, struct err *err)
{
	if (endpoints_apply(plan, netns, &shim->endpoints, err) < 0)
		return -1;
	return plan->dns ? dns_open(&shim->dns, netns, plan->dns, shim->plan.id, err) : 0;
}

int shim_build_network(struct shim *shim, int netns, struct err *err)
{
	if (network_build(shim->plan.has_network ? &shim->plan.network : NULL, netns, &shim->link, err) < 0)
		return -1;
	if (apply(shim, &shim->plan.endpoints, netns, err) < 0)
		return -1;
	if (shim->plan.has_network)
		links_adopt(&shim->endpoints, shim->plan.network.host_interface, shim->link);
	return 0;
}

int shim_make_network(struct shim *shim, struct err *err)
{
	if (shim->plan.namespaces[NS_NET].mode != NS_PRIVATE)
		return 0;
	CLEANUP_CLOSE int netns = open_netns(shim, err);
	return netns < 0 ? -1 : shim_build_network(shim, netns, err);
}

int shim_connect(struct shim *shim, const uint8_t *payload, size_t length, struct err *err)
{
	struct endpoints_plan plan = { 0 };
	int result = -1;

	if (shim->is_exec || shim->plan.namespaces[NS_NET].mode != NS_PRIVATE)
		return err_set(err, EINVAL, "network", "the container has no network of its own");
	if (shim->status == STATUS_EXITED)
		return err_set(err, ESRCH, "state", "cannot connect: the container is exited");
	CLEANUP_CLOSE int netns = open_netns(shim, err);
	if (netns >= 0 && endpoints_parse(payload, length, &plan, err) == 0)
		result = apply(shim, &plan, netns, err);
	endpoints_free(&plan);
	return result;
}

void shim_leave_network(struct shim *shim)
{
	if (shim->link)
		network_leave(shim->link);
	links_leave(&shim->endpoints);
}
