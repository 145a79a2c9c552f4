/*
 * What the reaper of testcontainers does, for tests that cannot pull its image: clients connect to TCP port 8080 and send lines of
 * filters (label=key=value&label=…), each answered ACK. When the last connection has been gone for RYUK_RECONNECTION_TIMEOUT (10s),
 * everything with the labels of a line is removed through /var/run/docker.sock: containers, networks, volumes, images.
 */
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PORT = 8080, CLIENTS = 64, FILTERS = 1024, LINE = 1024, ANSWER = 16 << 20, ROUNDS = 10 };

struct client {
	int fd;
	size_t used;
	char line[LINE];
};

static struct client clients[CLIENTS];
static char *filters[FILTERS];
static int filter_count;
static char answer[ANSWER];
static char self[64];

static int fail(const char *what)
{
	perror(what);
	exit(1);
}

/* One request; 1 with the answer's status, its body in `answer`. */
static int ask(const char *method, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/var/run/docker.sock" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t used = 0;
	ssize_t count;

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail("/var/run/docker.sock");
	/* 1.0: its answers end with the connection. */
	dprintf(fd, "%s %s HTTP/1.0\r\nHost: docker\r\n\r\n", method, path);
	while (used < ANSWER - 1 && (count = read(fd, answer + used, ANSWER - 1 - used)) > 0)
		used += (size_t)count;
	answer[used] = 0;
	close(fd);
	return used > 12 ? atoi(answer + 9) : 0;
}

static void escape(char *out, const char *text)
{
	for (; *text; text++)
		if (isalnum((unsigned char)*text))
			*out++ = *text;
		else
			out += sprintf(out, "%%%02X", (unsigned char)*text);
	*out = 0;
}

static char hex_digit(char c)
{
	return (char)(isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10);
}

/* label=a%3Db&label=c as the API's {"label":["a=b","c"]}, escaped for a query. */
static void filters_of(char *out, const char *line)
{
	char json[3 * LINE] = "{\"label\":[", *at = json + strlen(json);
	const char *begin = at;

	while (*line) {
		if (strncmp(line, "label=", 6) == 0) {
			at += sprintf(at, "%s\"", at == begin ? "" : ",");
			for (line += 6; *line && *line != '&'; line++) {
				if (*line == '"' || *line == '\\')
					*at++ = '\\';
				if (*line == '%' && isxdigit((unsigned char)line[1]) && isxdigit((unsigned char)line[2])) {
					*at++ = (char)(hex_digit(line[1]) * 16 + hex_digit(line[2]));
					line += 2;
				} else {
					*at++ = *line;
				}
			}
			*at++ = '"';
		} else {
			line += strcspn(line, "&");
		}
		if (*line == '&')
			line++;
	}
	strcpy(at, "]}");
	escape(out, json);
}

/* Removes what a list names; how many. The list is read again until it is empty. */
static int remove_all(const char *list, const char *key, const char *item, const char *query, const char *filter)
{
	static char names[4096][80];
	char path[16 * LINE];
	int removed = 0;

	for (int round = 0; round < ROUNDS; round++) {
		int count = 0;

		snprintf(path, sizeof(path), "%s%s", list, filter);
		if (ask("GET", path) != 200)
			printf("%s: %.200s\n", list, answer);
		for (char *at = answer; count < 4096 && (at = strstr(at, key)); count++) {
			at += strlen(key);
			snprintf(names[count], sizeof(names[count]), "%.*s", (int)strcspn(at, "\""), at);
			/* Its own host name is its short id. */
			if (self[0] && strncmp(names[count], self, strlen(self)) == 0)
				count--;
		}
		if (count == 0)
			return removed;
		for (int index = 0; index < count; index++) {
			snprintf(path, sizeof(path), "%s%.79s%s", item, names[index], query);
			int status = ask("DELETE", path);

			if (status / 100 == 2)
				removed++;
			else
				printf("%s: %.300s\n", path, answer);
		}
	}
	return removed;
}

static void reap(void)
{
	int containers = 0, networks = 0, volumes = 0, images = 0;

	for (int index = 0; index < filter_count; index++) {
		char filter[12 * LINE];

		filters_of(filter, filters[index]);
		containers += remove_all("/containers/json?all=1&filters=", "\"Id\":\"", "/containers/", "?force=1&v=1", filter);
		networks += remove_all("/networks?filters=", "\"Id\":\"", "/networks/", "", filter);
		volumes += remove_all("/volumes?filters=", "\"Name\":\"", "/volumes/", "?force=1", filter);
		images += remove_all("/images/json?filters=", "\"Id\":\"", "/images/", "?force=1", filter);
	}
	printf("removed %d containers, %d networks, %d volumes, %d images\n", containers, networks, volumes, images);
}

static void take_line(struct client *client, const char *line)
{
	int known = 0;

	for (int index = 0; index < filter_count; index++)
		known |= strcmp(filters[index], line) == 0;
	if (!known && filter_count < FILTERS && *line)
		filters[filter_count++] = strdup(line);
	if (write(client->fd, "ACK\n", 4) < 0)
		printf("a client does not wait for its answer\n");
}

static void drop(struct client *client)
{
	close(client->fd);
	client->fd = -1;
}

static void serve(struct client *client)
{
	ssize_t count = read(client->fd, client->line + client->used, LINE - 1 - client->used);
	char *end;

	if (count <= 0) {
		drop(client);
		return;
	}
	client->used += (size_t)count;
	client->line[client->used] = 0;
	while ((end = strchr(client->line, '\n'))) {
		*end = 0;
		client->line[strcspn(client->line, "\r")] = 0;
		take_line(client, client->line);
		client->used -= (size_t)(end + 1 - client->line);
		memmove(client->line, end + 1, client->used + 1);
	}
	if (client->used == LINE - 1)
		drop(client);
}

static void accept_client(int listener)
{
	int fd = accept(listener, NULL, NULL);

	for (int index = 0; fd >= 0 && index < CLIENTS; index++)
		if (clients[index].fd < 0) {
			clients[index] = (struct client){ .fd = fd };
			return;
		}
	if (fd >= 0)
		close(fd);
}

int main(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	const char *given = getenv("RYUK_RECONNECTION_TIMEOUT");
	int timeout = given && atoi(given) > 0 ? atoi(given) * 1000 : 10000, yes = 1, had_client = 0;
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	gethostname(self, sizeof(self) - 1);
	for (int index = 0; index < CLIENTS; index++)
		clients[index].fd = -1;
	if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
	    bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, CLIENTS) < 0)
		fail("listen");
	if (ask("GET", "/_ping") != 200)
		fail("ping");
	printf("Started!\n");
	for (;;) {
		struct pollfd polls[1 + CLIENTS] = { { .fd = listener, .events = POLLIN } };
		int connected = 0;

		for (int index = 0; index < CLIENTS; index++) {
			polls[1 + index] = (struct pollfd){ .fd = clients[index].fd, .events = POLLIN };
			connected += clients[index].fd >= 0;
		}
		had_client |= connected > 0;
		/* Nobody comes at all: one that was started for a client that died. */
		int ready = poll(polls, 1 + CLIENTS, connected ? -1 : had_client ? timeout : 60000);
		if (ready == 0) {
			reap();
			return 0;
		}
		for (int index = 0; index < CLIENTS; index++)
			if (polls[1 + index].revents)
				serve(&clients[index]);
		if (polls[0].revents)
			accept_client(listener);
	}
}
