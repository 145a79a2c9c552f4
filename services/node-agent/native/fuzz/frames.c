/* Frames of the control protocol. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "fuzz.h"

static void frames_round(void)
{
	size_t length = 0;
	struct client client;
	int pair[2];
	size_t size;

	for (int frame = 0; frame < 4; frame++)
		length = put(input, put(input, length, next_random() % 140, 1), next_random() % 64, 4) + next_random() % 64;
	length = mutate(length);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		abort();
	if (write(pair[1], input, length) < 0)
		abort();
	close(pair[1]);
	client_open(&client, pair[0]);
	for (int result = 0; result >= 0;) {
		size = 0;
		result = client_read(&client, &size);
		if (result > 0) {
			fuzz_frames.whole++;
			client_forget_payload(&client);
		}
	}
	client_close(&client);
}

struct target fuzz_frames = { "frames", frames_round, 0 };
