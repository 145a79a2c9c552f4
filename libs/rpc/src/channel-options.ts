import type { ChannelOptions } from '@grpc/grpc-js';

/** Bytes of one message at most: streams carry 256 KiB pieces, the largest single answers are lists. */
const MAX_MESSAGE = 16 * 1024 * 1024;

/**
 * For both ends. Keepalive finds a peer that vanished without closing (a host cut off) within 15 s on streams that are silent;
 * what must be found faster has heartbeats of its own.
 */
export const CHANNEL_OPTIONS: ChannelOptions = {
  'grpc.max_receive_message_length': MAX_MESSAGE,
  'grpc.max_send_message_length': MAX_MESSAGE,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
  'grpc.enable_retries': 0,
};

/**
 * Of a channel for bulk: what a server may send before it is told that some of it was read, for each call and for the connection. With
 * HTTP/2's own 64 KiB a sender that makes 64 KiB at a time stands still after each. It bounds what a reader that is slow holds.
 */
export const BULK_OPTIONS: ChannelOptions = { 'grpc-node.flow_control_window': 1024 * 1024 };
