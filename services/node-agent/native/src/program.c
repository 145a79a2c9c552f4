#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io.h"
#include "path.h"

static const char STEP[] = "exec";
static const char DEFAULT_PATH[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* The words of Docker's runtime, which begin with small letters. */
static int refuse_cwd(const char *cwd, int code, struct err *err)
{
	const char *why = code == ENOENT ? "no such file or directory" : code == ENOTDIR ? "not a directory"
			: code == EACCES ? "permission denied" : strerror(code);

	return err_set(err, code, "enter working directory", "chdir to cwd (\"%s\") set in config.json failed: %s", cwd, why);
}

int program_enter_cwd(int root, const char *cwd, int make_missing, struct err *err)
{
	char seen[PATH_MAX];
	CLEANUP_CLOSE int directory = make_missing ? root_mkdirs(root, cwd, 0755)
						   : root_open(root, cwd, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0);

	if (directory < 0 || fchdir(directory) < 0)
		return refuse_cwd(cwd, errno, err);
	/* The kernel says "(unreachable)" for a folder outside the root; libc would hide that. */
	if (syscall(SYS_getcwd, seen, sizeof(seen)) < 0 || seen[0] != '/')
		return err_set(err, EPERM, "enter working directory", "%s is outside the container's root", cwd);
	return 0;
}

static const char *find_env(const struct text_list *env, const char *key)
{
	size_t length = strlen(key);

	for (size_t index = 0; index < env->count; index++)
		if (strncmp(env->items[index], key, length) == 0 && env->items[index][length] == '=')
			return env->items[index] + length + 1;
	return NULL;
}

/* Go's exec.LookPath: the first regular file with an execute bit. */
static int look_up(const char *name, const char *path, char *found, size_t size)
{
	struct stat info;

	while (path) {
		const char *end = strchrnul(path, ':');
		int length = (int)(end - path);
		int used = snprintf(found, size, "%.*s%s%s", length, path, length ? "/" : "", name);

		if (used > 0 && (size_t)used < size && stat(found, &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & 0111))
			return 0;
		path = *end ? end + 1 : NULL;
	}
	return -1;
}

int program_find(const struct process_plan *process, char *found, size_t size, struct err *err)
{
	const char *name = process->argv.items[0], *path = find_env(&process->env, "PATH");
	struct stat info;

	if (!strchr(name, '/')) {
		if (*name == '\0' || look_up(name, path ? path : DEFAULT_PATH, found, size) < 0)
			return err_set(err, ENOENT, STEP, "exec: \"%s\": executable file not found in $PATH", name);
	} else {
		if (stat(name, &info) < 0)
			return err_set(err, errno == ENOTDIR ? ENOENT : errno, STEP, "exec: \"%s\": stat %s: %s", name, name,
				       errno == ENOENT ? "no such file or directory" : strerror(errno));
		if (S_ISDIR(info.st_mode))
			return err_set(err, EISDIR, STEP, "exec: \"%s\": is a directory", name);
		if (!(info.st_mode & 0111))
			return err_set(err, EACCES, STEP, "exec: \"%s\": permission denied", name);
		snprintf(found, size, "%s", name);
	}
	return 0;
}

int program_exec(const struct process_plan *process, const struct user *user, struct err *err)
{
	CLEANUP_FREE const char **env = calloc(process->env.count + 2, sizeof(*env));
	char home[PATH_MAX + 8], found[PATH_MAX];

	if (!env)
		return err_set(err, ENOMEM, STEP, "out of memory");
	for (size_t index = 0; index < process->env.count; index++)
		env[index] = process->env.items[index];
	if (!find_env(&process->env, "HOME")) {
		snprintf(home, sizeof(home), "HOME=%s", user->home);
		env[process->env.count] = home;
	}
	if (program_find(process, found, sizeof(found), err) < 0)
		return -1;
	execve(found, (char *const *)(uintptr_t)process->argv.items, (char *const *)(uintptr_t)env);
	int code = errno;
	const char *why = code == ENOENT ? "no such file or directory" : code == EACCES ? "permission denied"
			: code == ENOEXEC ? "exec format error" : strerror(code);
	return err_set(err, code, STEP, "exec %s: %s", found, why);
}
