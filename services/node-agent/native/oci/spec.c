#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "oci.h"
#include "plan-records.h"

int spec_bad(struct err *err, const char *where, const char *key, const char *why)
{
	return err_set(err, EINVAL, "read config.json", "config.json: %s%s%s %s", where, *where && *key ? "." : "", key, why);
}

static int is_in(const char *const *names, const char *name)
{
	for (; names && *names; names++)
		if (strcmp(*names, name) == 0)
			return 1;
	return 0;
}

static int is_empty(const struct json *value)
{
	switch (value->type) {
	case JSON_NULL:
	case JSON_FALSE:
		return 1;
	case JSON_STRING:
		return value->text[0] == '\0';
	case JSON_NUMBER:
		return strcmp(value->text, "0") == 0;
	case JSON_ARRAY:
	case JSON_OBJECT:
		return !value->first;
	default:
		return 0;
	}
}

int spec_members(const struct json *object, const char *where, const char *const *known, const char *const *refused, struct err *err)
{
	if (object && object->type != JSON_OBJECT)
		return spec_bad(err, where, "", "must be an object");
	for (const struct json *member = object ? object->first : NULL; member; member = member->next) {
		char text[300];

		if (is_in(known, member->key) || is_empty(member))
			continue;
		if (is_in(refused, member->key))
			return spec_bad(err, where, member->key, "is not supported by this runtime");
		snprintf(text, sizeof(text), "config.json: %s.%s is unknown and not looked at", where, member->key);
		log_message("warning", text);
	}
	return 0;
}

int spec_text(const struct json *object, const char *where, const char *key, const char **out, struct err *err)
{
	const struct json *value = json_get(object, key);

	if (value && value->type != JSON_STRING)
		return spec_bad(err, where, key, "must be a string");
	*out = value && value->text[0] ? value->text : NULL;
	return 0;
}

int spec_int(const struct json *object, const char *where, const char *key, int64_t low, int64_t high, int64_t *out, struct err *err)
{
	const struct json *value = json_get(object, key);
	char why[96];

	if (!value)
		return 0;
	if (json_int64(value, out) == 0 && *out >= low && *out <= high)
		return 1;
	snprintf(why, sizeof(why), "must be a whole number from %lld to %lld", (long long)low, (long long)high);
	return spec_bad(err, where, key, why);
}

int spec_bool(const struct json *object, const char *where, const char *key, int *out, struct err *err)
{
	const struct json *value = json_get(object, key);

	if (value && value->type != JSON_TRUE && value->type != JSON_FALSE)
		return spec_bad(err, where, key, "must be true or false");
	*out = value && value->type == JSON_TRUE;
	return 0;
}

static int read_root(const struct json *top, const char *bundle, struct spec *spec, struct err *err)
{
	static const char *const known[] = { "path", "readonly", NULL };
	const struct json *root = json_get(top, "root");
	const char *path = NULL;

	if (!root)
		return spec_bad(err, "root", "", "is missing");
	if (spec_members(root, "root", known, NULL, err) < 0 || spec_text(root, "root", "path", &path, err) < 0 ||
	    spec_bool(root, "root", "readonly", &spec->plan.root_readonly, err) < 0)
		return -1;
	if (!path)
		return spec_bad(err, "root", "path", "is missing");
	char joined[8192];
	snprintf(joined, sizeof(joined), "%s%s%s", path[0] == '/' ? "" : bundle, path[0] == '/' ? "" : "/", path);
	spec->root = realpath(joined, NULL);
	spec->plan.root_directory = spec->root;
	return spec->root ? 0 : err_sys(err, "read config.json", "root.path %s", joined);
}

static int check_version(struct spec *spec, const struct json *top, struct err *err)
{
	if (spec_text(top, "", "ociVersion", &spec->version, err) < 0)
		return -1;
	if (!spec->version)
		return spec_bad(err, "ociVersion", "", "is missing");
	return strncmp(spec->version, "1.", 2) == 0 ? 0 : spec_bad(err, "ociVersion", "", "must be a version 1.x");
}

static int read_members(const char *bundle, struct spec *spec, struct err *err)
{
	static const char *const known[] = { "ociVersion", "process", "root", "hostname", "domainname", "mounts", "hooks", "annotations", "linux", NULL };
	static const char *const refused[] = { "windows", "solaris", "vm", "zos", "freebsd", NULL };
	const struct json *top = spec->document.nodes;
	struct plan *plan = &spec->plan;

	plan->process.umask = 022;
	spec->hooks = json_get(top, "hooks");
	spec->annotations = json_get(top, "annotations");
	if (top->type != JSON_OBJECT)
		return spec_bad(err, "", "", "must be an object");
	if (spec_members(top, "", known, refused, err) < 0 || check_version(spec, top, err) < 0 || read_root(top, bundle, spec, err) < 0 ||
	    spec_text(top, "", "hostname", &plan->hostname, err) < 0 || spec_text(top, "", "domainname", &plan->domainname, err) < 0 ||
	    hooks_check(spec->hooks, err) < 0)
		return -1;
	if (!json_get(top, "process"))
		return spec_bad(err, "process", "", "is missing");
	if (!json_get(top, "linux"))
		return spec_bad(err, "linux", "", "is missing");
	if (spec_process(json_get(top, "process"), "process", &plan->process, err) < 0 || spec_mounts(json_get(top, "mounts"), bundle, plan, err) < 0 ||
	    spec_linux(json_get(top, "linux"), plan, err) < 0)
		return -1;
	if ((plan->hostname || plan->domainname) && plan->namespaces[NS_UTS].mode == NS_HOST)
		return spec_bad(err, plan->hostname ? "hostname" : "domainname", "", "needs a uts namespace");
	return 0;
}

static struct text_list kept;

char *spec_keep(char *text)
{
	struct err ignored;

	if (text && plan_append(&kept, text, &ignored) < 0) {
		free(text);
		return NULL;
	}
	return text;
}

int spec_parse(const char *bundle, const char *bytes, size_t length, struct spec *spec, struct err *err)
{
	return json_parse(bytes, length, &spec->document, err) < 0 ? -1 : read_members(bundle, spec, err);
}

void spec_free(struct spec *spec)
{
	for (size_t index = 0; index < kept.count; index++)
		free((char *)(uintptr_t)kept.items[index]);
	free(kept.items);
	memset(&kept, 0, sizeof(kept));
	free((uint8_t *)(uintptr_t)spec->plan.process.seccomp);
	plan_free(&spec->plan);
	free(spec->root);
	json_free(&spec->document);
	memset(spec, 0, sizeof(*spec));
}

int spec_read(const char *bundle, const char *file, struct spec *spec, struct err *err)
{
	size_t length;
	CLEANUP_FREE char *bytes = read_file_at(AT_FDCWD, file, JSON_MAX_BYTES, &length);

	if (!bytes)
		return err_sys(err, "read config.json", "JSON specification file %s", file);
	return spec_parse(bundle, bytes, length, spec, err);
}
