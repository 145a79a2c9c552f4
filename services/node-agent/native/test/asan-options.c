/*
 * Options of the sanitizers in build/atoll-shim-asan. Leaks are not looked for: the shim's processes keep what they have until
 * they exec or end, and the checker would have to trace processes that are not dumpable.
 */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "detect_leaks=0:abort_on_error=1:disable_coredump=1:handle_segv=1:log_path=" REPORTS;
}
