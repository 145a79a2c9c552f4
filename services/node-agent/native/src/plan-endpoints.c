#include "plan-endpoints.h"

#include <linux/if_link.h>
#include <linux/netfilter/nf_tables.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "plan-records.h"

enum { INTERFACE_BYTES = 15, SETTING_BYTES = 200 };

static int is_interface(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length <= INTERFACE_BYTES && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* u8 4 or 6, 4 or 16 bytes, u8 prefix length. */
static int read_ip(struct ip_plan *ip, struct cursor *record, struct err *err)
{
	unsigned version = (unsigned)cursor_number(record, 1);
	size_t size = version == 4 ? 4 : 16;
	const uint8_t *bytes = cursor_bytes(record, size);

	if (version != 4 && version != 6)
		return plan_bad(err, "an address that is neither IPv4 nor IPv6");
	ip->family = version == 4 ? AF_INET : AF_INET6;
	if (bytes)
		memcpy(ip->bytes, bytes, size);
	ip->prefix = (uint8_t)cursor_number(record, 1);
	return ip->prefix > size * 8 ? plan_bad(err, "a prefix length out of range") : 0;
}

/* Text interface on the host, text its name, text inner interface; 6 bytes MAC, u32 MTU. */
static int read_names(struct endpoint_plan *endpoint, const char **on, struct cursor *record, struct err *err)
{
	*on = cursor_text(record);
	endpoint->link.host_interface = cursor_text(record);
	endpoint->link.container_interface = cursor_text(record);
	const uint8_t *mac = cursor_bytes(record, 6);
	if (mac)
		memcpy(endpoint->link.mac, mac, 6);
	endpoint->link.mtu = (uint32_t)cursor_number(record, 4);
	if (is_interface(*on) && is_interface(endpoint->link.host_interface) && is_interface(endpoint->link.container_interface))
		return 0;
	return plan_bad(err, "an endpoint without the names of its interfaces");
}

static int is_macvlan_mode(uint32_t mode)
{
	return mode == MACVLAN_MODE_PRIVATE || mode == MACVLAN_MODE_VEPA || mode == MACVLAN_MODE_BRIDGE || mode == MACVLAN_MODE_PASSTHRU;
}

static int link_record(struct endpoints_plan *plan, unsigned tag, struct cursor *record, struct err *err)
{
	struct endpoint_plan *endpoint = plan_grow((void **)&plan->items, &plan->count, sizeof(*endpoint), err);

	if (!endpoint || read_names(endpoint, tag == TAG_MACVLAN ? &endpoint->parent : &endpoint->link.bridge, record, err) < 0)
		return -1;
	if (tag == TAG_MACVLAN) {
		endpoint->macvlan_mode = (uint32_t)cursor_number(record, 1);
		if (!is_macvlan_mode(endpoint->macvlan_mode))
			return plan_bad(err, "a macvlan link of an unknown mode");
	}
	endpoint->address_count = (size_t)cursor_number(record, 1);
	if (endpoint->address_count > PLAN_MAX_ADDRESSES)
		return plan_bad(err, "more than 16 addresses of an endpoint");
	for (size_t index = 0; index < endpoint->address_count; index++)
		if (read_ip(&endpoint->addresses[index], record, err) < 0)
			return -1;
	return 0;
}

static int gateway_record(struct endpoints_plan *plan, struct cursor *record, struct err *err)
{
	struct gateway_plan *gateway = plan_grow((void **)&plan->gateways, &plan->gateway_count, sizeof(*gateway), err);

	if (!gateway)
		return -1;
	gateway->interface = cursor_text(record);
	return is_interface(gateway->interface) ? read_ip(&gateway->address, record, err) : plan_bad(err, "a gateway without an interface");
}

/* A path below /proc/sys/net, by names only. */
static int setting_record(struct endpoints_plan *plan, struct cursor *record, struct err *err)
{
	struct pair_plan *pair = plan_grow((void **)&plan->sysctls, &plan->sysctl_count, sizeof(*pair), err);

	if (!pair)
		return -1;
	pair->key = cursor_text(record);
	pair->value = cursor_text(record);
	if (strncmp(pair->key, "net/", 4) != 0 || strlen(pair->key) > SETTING_BYTES || strstr(pair->key, "..") || strstr(pair->key, "//"))
		return plan_bad(err, "a setting of an endpoint that is not below net/");
	return 0;
}

int endpoint_record(struct endpoints_plan *plan, unsigned tag, struct cursor *record, struct err *err)
{
	switch (tag) {
	case TAG_ENDPOINT:
	case TAG_MACVLAN:
		return link_record(plan, tag, record, err);
	case TAG_GATEWAY:
		return gateway_record(plan, record, err);
	case TAG_ENDPOINT_SYSCTL:
		return setting_record(plan, record, err);
	case TAG_DNS:
		plan->dns = cursor_text(record);
		return strlen(plan->dns) >= sizeof(((struct sockaddr_un *)0)->sun_path) ? plan_bad(err, "the path of the resolver is too long") : 0;
	case TAG_BINDING:
		plan->binding = cursor_text(record);
		return strlen(plan->binding) >= NFT_NAME_MAXLEN || *plan->binding == '\0' ? plan_bad(err, "a table without a usable name") : 0;
	default:
		return plan_bad(err, "not a record about endpoints");
	}
}

int endpoints_parse(const uint8_t *bytes, size_t length, struct endpoints_plan *plan, struct err *err)
{
	struct cursor all = { bytes, bytes + length, 0 };

	memset(plan, 0, sizeof(*plan));
	while (all.at < all.end) {
		unsigned tag = (unsigned)cursor_number(&all, 2);
		size_t size = (size_t)cursor_number(&all, 4);
		const uint8_t *payload = cursor_bytes(&all, size);

		if (!payload)
			return plan_bad(err, "a record reaches past the end");
		struct cursor record = { payload, payload + size, 0 };
		if (endpoint_record(plan, tag, &record, err) < 0)
			return -1;
		if (record.bad || record.at != record.end)
			return plan_bad(err, "a record about endpoints has a wrong form");
	}
	return 0;
}

void endpoints_free(struct endpoints_plan *plan)
{
	free(plan->items);
	free(plan->gateways);
	free(plan->sysctls);
	memset(plan, 0, sizeof(*plan));
}
