/*
 * The init of `docker run --init`: pid 1 of a container that starts the real program, hands signals on to it, reaps what
 * is left to pid 1, and ends as the program ends: its exit code, or 128 and its signal.
 *
 *   /sbin/docker-init -- program [argument …]
 *
 * Static, no library but libc, no configuration. It runs as the container's user with the container's limits and is not
 * trusted by anything outside.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A fault of our own: to block them would end in a loop. */
static const int FAULTS[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS };

/* What shells and Docker say: 127 for a program that is not there, 126 for one that cannot be run. */
enum { NOT_FOUND = 127, NOT_RUNNABLE = 126, FAILED = 125 };

static _Noreturn void fail(const char *what, const char *name, int code)
{
	fprintf(stderr, "docker-init: %s%s%s: %s\n", what, name ? " " : "", name ? name : "", strerror(errno));
	_exit(code);
}

static void all_but_faults(sigset_t *set)
{
	sigfillset(set);
	for (size_t index = 0; index < sizeof(FAULTS) / sizeof(*FAULTS); index++)
		sigdelset(set, FAULTS[index]);
}

/* A process group of its own in the terminal's foreground: what is typed goes to the program, not to us. */
static void take_terminal(void)
{
	if (setpgid(0, 0) < 0)
		fail("cannot make a process group", NULL, FAILED);
	/* No terminal, or another's: nothing to take. */
	if (tcsetpgrp(STDIN_FILENO, getpgrp()) < 0 && errno != ENOTTY && errno != ENXIO && errno != EPERM && errno != EBADF &&
	    errno != EINVAL)
		fail("cannot take the terminal", NULL, FAILED);
}

static _Noreturn void run(char **argv, const sigset_t *before)
{
	take_terminal();
	signal(SIGTTIN, SIG_DFL);
	signal(SIGTTOU, SIG_DFL);
	if (sigprocmask(SIG_SETMASK, before, NULL) < 0)
		fail("cannot restore the signals", NULL, FAILED);
	execvp(argv[0], argv);
	fail("cannot run", argv[0], errno == ENOENT || errno == ENOTDIR ? NOT_FOUND : NOT_RUNNABLE);
}

/* Reaps all that has ended. The exit code once the program is among it, else -1. */
static int reap(pid_t program)
{
	int code = -1, status;

	for (;;) {
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid <= 0)
			return code;
		if (pid == program)
			code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
}

int main(int argc, char **argv)
{
	sigset_t caught, before;
	int first = argc > 1 && strcmp(argv[1], "--") == 0 ? 2 : 1;

	if (argc <= first) {
		fprintf(stderr, "usage: docker-init -- program [argument …]\n");
		return FAILED;
	}
	/* With the host's pid namespace we are not pid 1: orphans come to us all the same. */
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	all_but_faults(&caught);
	/* To hand over the terminal must not stop us. */
	signal(SIGTTIN, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	if (sigprocmask(SIG_SETMASK, &caught, &before) < 0)
		fail("cannot hold the signals", NULL, FAILED);
	pid_t program = fork();
	if (program < 0)
		fail("cannot fork", NULL, FAILED);
	if (program == 0)
		run(argv + first, &before);
	for (;;) {
		int sig = sigwaitinfo(&caught, NULL);

		if (sig == SIGCHLD) {
			int code = reap(program);

			if (code >= 0)
				return code;
		} else if (sig > 0) {
			/* It may have just ended, or have changed its user. */
			kill(program, sig);
		}
	}
}
