#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pack.h"

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int names_read(int folder, struct name_list *list, struct err *err)
{
	int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	size_t room = 0;

	*list = (struct name_list){ 0 };
	if (!directory) {
		if (copy >= 0)
			close(copy);
		return err_sys(err, "read folder", "open");
	}
	while ((entry = readdir(directory))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (list->count == room) {
			char **grown = realloc(list->names, (room = room ? room * 2 : 32) * sizeof(*grown));

			if (!grown)
				break;
			list->names = grown;
		}
		char *name = strdup(entry->d_name);
		if (!name)
			break;
		list->names[list->count++] = name;
	}
	closedir(directory);
	if (entry) {
		names_free(list);
		return err_set(err, ENOMEM, "read folder", "out of memory");
	}
	if (list->count > 1)
		qsort(list->names, list->count, sizeof(*list->names), compare);
	return 0;
}

void names_free(struct name_list *list)
{
	for (size_t index = 0; index < list->count; index++)
		free(list->names[index]);
	free(list->names);
	*list = (struct name_list){ 0 };
}
