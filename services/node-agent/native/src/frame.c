#include "frame.h"

#include <errno.h>
#include <stdlib.h>

#include "io.h"

int frame_read(int connection, struct frame *frame, size_t limit, struct err *err)
{
	uint8_t header[FRAME_HEADER];

	if (read_exact(connection, header, sizeof(header)) < 0)
		return err_sys(err, "read the plan", "the connection ended");
	frame->type = header[0];
	frame->length = frame_length(header);
	if (frame->length > limit)
		return err_set(err, EFBIG, "read the plan", "a frame of %zu bytes", frame->length);
	frame->payload = malloc(frame->length + 1);
	if (!frame->payload)
		return err_set(err, ENOMEM, "read the plan", "a frame of %zu bytes", frame->length);
	if (read_exact(connection, frame->payload, frame->length) < 0) {
		free(frame->payload);
		return err_sys(err, "read the plan", "the connection ended");
	}
	frame->payload[frame->length] = 0;
	return 0;
}
