/* stream receive <port>: takes one TCP connection to its end. stream send <address> <port> <MiB>: fills one with zeros and prints the
   seconds until the other end had all of it. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char buffer[256 << 10];

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int receive_all(int port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);

	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(listener, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(listener, 1) < 0)
		return fail("listen");
	int connection = accept(listener, NULL, NULL);
	ssize_t count = 0;
	while (connection >= 0 && (count = read(connection, buffer, sizeof(buffer))) > 0)
		;
	return connection < 0 || count < 0 ? fail("receive") : 0;
}

static int send_all(const char *address, int port, long mebibytes)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int connection = socket(AF_INET, SOCK_STREAM, 0);
	struct timespec begun, ended;
	char end;

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1 || connect(connection, (struct sockaddr *)&to, sizeof(to)) < 0)
		return fail("connect");
	clock_gettime(CLOCK_MONOTONIC, &begun);
	for (long left = mebibytes << 20; left > 0;) {
		ssize_t count = write(connection, buffer, left < (long)sizeof(buffer) ? (size_t)left : sizeof(buffer));
		if (count < 0)
			return fail("send");
		left -= count;
	}
	if (shutdown(connection, SHUT_WR) < 0 || read(connection, &end, 1) < 0)
		return fail("end");
	clock_gettime(CLOCK_MONOTONIC, &ended);
	printf("%.6f\n", (double)(ended.tv_sec - begun.tv_sec) + (double)(ended.tv_nsec - begun.tv_nsec) / 1e9);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "receive") == 0)
		return receive_all(atoi(argv[2]));
	if (argc == 5 && strcmp(argv[1], "send") == 0)
		return send_all(argv[2], atoi(argv[3]), atol(argv[4]));
	fprintf(stderr, "usage: stream receive <port> | stream send <address> <port> <MiB>\n");
	return 2;
}
