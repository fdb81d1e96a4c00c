/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arith.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "mdclusterd/daemon/config.h"
#include "mdclusterd/daemon/notify.h"
#include "mdclusterd/daemon/obituary.h"
#include "mdclusterd/fence/guard.h"
#include "mdclusterd/fence/watchdog.h"

LOG_SUBSYSTEM(supervisor);

enum {
	WORD_BYTES = 512,
	OBITUARY_MS = 250,        /* before the next engine takes its address */
	LONG_LIFE_MS = 10000,     /* who lived so long did not crash at its start */
	FIRST_PAUSE_MS = 100,
	LONGEST_PAUSE_MS = 30000,
	STOP_MS = 15000,          /* a stop that takes longer hangs */
	PATIENCE_MS = 30000,
	BEATS_OF_A_HANG = 10,     /* without a word of the engine (W5) */
};

struct supervisor {
	const struct options *options;
	struct config *config;    /* the last one that was good */
	int lock_fd, signal_fd;
	sigset_t signals;

	pid_t engine;             /* 0: none runs */
	int engine_fd;            /* -1 */
	uint64_t incarnation;     /* of it; 0: it was on no ring yet */
	bool has_said_goodbye, was_ready;
	uint64_t started_at;
	unsigned int crashes;     /* in a row */
	uint64_t start_at;        /* the next one; UINT64_MAX: not */

	uint64_t beat_at;
	unsigned int silent_beats;
	struct watchdog *watchdog; /* NULL: none; as configured when it was opened: */
	uint32_t guard_s, guard_drain_ms;
	uint64_t guard_until_ns;  /* the engine's word */
	bool is_unpetted;         /* and said so */
	uint64_t pet_at;          /* UINT64_MAX: not */

	int stops;                /* how often we were told to */
	uint64_t kill_at;         /* UINT64_MAX: not */
	int exit_code;
};

static uint64_t now_ms(void)
{
	return clock_boot_ns() / NS_PER_MS;
}

/* --- one daemon a state directory (W1) --------------------------------------------------- */

/* The run directory is for all to pass, as its sockets say themselves who may use them. */
static int make_folder(const char *path, mode_t mode, struct err *err)
{
	struct stat st;

	if (mkdir(path, mode) == 0 && chmod(path, mode) < 0) /* whatever the umask */
		return err_set(err, -errno, "%s: chmod: %s", path, strerror(errno));
	if (stat(path, &st) < 0)
		return err_set(err, -errno, "%s: cannot be made: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "%s: is no folder", path);
	if (st.st_mode & 022)
		return err_set(err, -EPERM, "%s: others than its owner may write there: chmod go-w",
			       path);
	return 0;
}

static int take_lock(struct supervisor *s, struct err *err)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/lock", s->config->state_dir);
	/* the engine inherits it: no O_CLOEXEC */
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (s->lock_fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(err, -EBUSY,
			       "%s: another mdclusterd runs with this state directory",
			       s->config->state_dir);
	return err_set(err, -errno, "%s: flock: %s", path, strerror(errno));
}

/* --- the engine ------------------------------------------------------------------------------ */

static void become_engine(const struct supervisor *s, int fd)
{
	char fd_word[32], level[32], target[32], guard[32];
	const char *words[9];
	int n = 0;

	/* signals stay blocked: one that comes before the engine watches them waits */
	fcntl(fd, F_SETFD, 0);
	snprintf(fd_word, sizeof(fd_word), "--engine=%d", fd);
	if (s->options->log_level >= 0)
		snprintf(level, sizeof(level), "--log-level=%s",
			 daemon_log_level_name(s->options->log_level));
	if (s->options->log_target >= 0)
		snprintf(target, sizeof(target), "--log=%s",
			 daemon_log_target_name(s->options->log_target));
	words[n++] = "mdclusterd";
	words[n++] = fd_word;
	words[n++] = "--config";
	words[n++] = s->options->config_path;
	if (s->options->log_level >= 0)
		words[n++] = level;
	if (s->options->log_target >= 0)
		words[n++] = target;
	if (s->watchdog) {
		snprintf(guard, sizeof(guard), "--guard=%" PRIu32, s->guard_s);
		words[n++] = guard;
	}
	words[n] = NULL;
	execv("/proc/self/exe", (char **)(uintptr_t)words);
	_exit(EXIT_FAILED);
}

static int start_engine(struct supervisor *s, struct err *err)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(err, -errno, "no socket pair: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		become_engine(s, pair[1]);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return err_set(err, -errno, "no process for the engine: %s", strerror(errno));
	}
	s->engine = pid;
	s->engine_fd = pair[0];
	s->incarnation = 0;
	s->has_said_goodbye = false;
	s->silent_beats = 0;
	s->started_at = now_ms();
	/* it begins with nothing open, and says more before it has */
	s->guard_until_ns = clock_boot_ns() + s->guard_drain_ms * NS_PER_MS;
	s->start_at = UINT64_MAX;
	return 0;
}

static void forget_engine(struct supervisor *s)
{
	if (s->engine_fd >= 0)
		close(s->engine_fd);
	s->engine_fd = -1;
}

static void take_word(struct supervisor *s, const char *word)
{
	s->silent_beats = 0; /* "alive" says no more than that */
	if (strcmp(word, "ready") == 0) {
		s->was_ready = true;
		notify_ready();
	} else if (strncmp(word, "incarnation ", 12) == 0) {
		s->incarnation = strtoull(word + 12, NULL, 10);
	} else if (strcmp(word, "goodbye") == 0) {
		s->has_said_goodbye = true;
	} else if (strncmp(word, "guard ", 6) == 0) {
		s->guard_until_ns = strtoull(word + 6, NULL, 10);
	} else if (strncmp(word, "status ", 7) == 0) {
		notify_status(word + 7);
	}
}

/* False: nothing more for now. */
static bool hear_engine(struct supervisor *s)
{
	char word[WORD_BYTES];
	ssize_t n = s->engine_fd < 0 ? 0 :
		    recv(s->engine_fd, word, sizeof(word) - 1, MSG_DONTWAIT);

	if (n > 0) {
		word[n] = '\0';
		take_word(s, word);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		forget_engine(s); /* it ends; SIGCHLD follows */
	}
	return n > 0;
}

/* W4 */
static void plan_restart(struct supervisor *s)
{
	uint64_t now = now_ms(), pause = 0;

	if (now - s->started_at >= LONG_LIFE_MS)
		s->crashes = 0;
	if (s->crashes++ > 0)
		pause = min_u64((uint64_t)FIRST_PAUSE_MS << min_u64(s->crashes - 2, 16),
				LONGEST_PAUSE_MS);
	s->start_at = now + pause;
	if (s->crashes > 2) {
		notify_status("no engine: the last ones died at their start; the log says why");
		log_error("MDC5402",
			  "the engine died %u times in a row, at once after its start: the next one in %.1f s",
			  s->crashes, (double)pause / 1000);
	}
}

static void say_obituary(const struct supervisor *s)
{
	struct err err = ERR_INIT;
	int heard = obituary_say(s->config, s->incarnation, OBITUARY_MS, &err);

	if (heard < 0)
		log_error("MDC5403", "its death cannot be told to the other nodes: %s", err.text);
	else
		log_notice("MDC5404", "its death is told: %d of %d other nodes have heard it", heard,
			   s->config->node_count - 1);
}

static void tell_end(const struct supervisor *s, int status)
{
	if (WIFSIGNALED(status))
		log_error("MDC5400", "the engine (process %d) was ended by signal %d, %s",
			  (int)s->engine, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0 || (!s->has_said_goodbye && s->stops == 0))
		log_error("MDC5401", "the engine (process %d) ended with code %d%s",
			  (int)s->engine, WEXITSTATUS(status),
			  s->has_said_goodbye ? "" : " and without a goodbye");
}

/* It is reaped: nothing that it wrote is under way (W2). */
static void engine_is_dead(struct supervisor *s, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;

	while (hear_engine(s))
		; /* its last words */
	forget_engine(s);
	tell_end(s, status);
	s->engine = 0;
	s->kill_at = UINT64_MAX;
	if (s->incarnation && !s->has_said_goodbye)
		say_obituary(s);
	if (s->stops > 0) {
		s->exit_code = code;
		return;
	}
	if (!s->was_ready && WIFEXITED(status) && code != 0) {
		s->exit_code = code; /* it cannot start, and has said why */
		s->stops = 1;
		return;
	}
	plan_restart(s);
}

static void reap(struct supervisor *s)
{
	int status;

	if (s->engine && waitpid(s->engine, &status, WNOHANG) == s->engine)
		engine_is_dead(s, status);
}

/* --- the watchdog --------------------------------------------------------------------------- */

/* One that was reaped writes nothing (W2): between two engines it is petted for ever. */
static void pet(struct supervisor *s)
{
	uint64_t timeout_ms = (uint64_t)s->guard_s * 1000;
	bool may = !s->engine || clock_boot_ns() <= s->guard_until_ns;
	int r = may ? watchdog_pet(s->watchdog) : 0;

	s->pet_at = now_ms() +
		    (may ? timeout_ms / 4 : guard_period_ms(s->guard_drain_ms, timeout_ms));
	if (!may && !s->is_unpetted)
		log_error("MDC5658", "the engine may be writing without a lease: the watchdog is not petted, and will reset this host");
	s->is_unpetted = !may;
	if (r < 0)
		log_error("MDC5659", "the watchdog cannot be petted: %s", strerror(-r));
}

static int open_watchdog(struct supervisor *s, struct err *err)
{
	const struct watchdog_config c = { s->config->watchdog.device,
					   s->config->watchdog.timeout_s,
					   s->config->watchdog.takes_software };

	if (!c.path)
		return 0;
	s->watchdog = watchdog_open(&watchdog_kernel, &c, err);
	if (!s->watchdog)
		return err->code;
	log_notice("MDC5656", "%s, %s, guards this node: %" PRIu32 " s", c.path,
		   watchdog_identity(s->watchdog), c.timeout_s);
	s->guard_s = c.timeout_s;
	s->guard_drain_ms = s->config->watchdog.drain_ms;
	s->pet_at = now_ms();
	return 0;
}

/* --- what people want -------------------------------------------------------------------------- */

static void stop(struct supervisor *s)
{
	notify_stopping();
	s->start_at = UINT64_MAX;
	if (s->stops++ == 0)
		s->kill_at = now_ms() + STOP_MS;
	if (s->engine_fd >= 0)
		supervisor_tell(s->engine_fd, s->stops == 1 ? "stop" : "now");
}

static void reload(struct supervisor *s)
{
	struct err err = ERR_INIT;
	struct config *c;

	if (s->watchdog)
		pet(s); /* a corosync that hangs holds us up for a moment */
	c = daemon_config_read(s->options->config_path, &err);
	if (!c) {
		log_error("MDC5405", "nothing is reloaded: %s", err.text);
		return;
	}
	if (strcmp(c->state_dir, s->config->state_dir) == 0) {
		config_free(s->config);
		s->config = c;
	} else {
		config_free(c); /* the lock is where it is; the engine says so */
	}
	if (s->engine_fd >= 0)
		supervisor_tell(s->engine_fd, "reload");
}

static void take_signal(struct supervisor *s)
{
	struct signalfd_siginfo info;

	if (read(s->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD)
		reap(s);
	else if (info.ssi_signo == SIGHUP)
		reload(s);
	else
		stop(s);
}

/* --- who hangs --------------------------------------------------------------------------------- */

static uint64_t beat_ms(void)
{
	return max_u64(supervisor_patience_ms() / BEATS_OF_A_HANG, 1);
}

/*
 * W5. Beats are counted, not time: a host that was asleep has had none, and an engine that
 * wakes up with us has its time to say so.
 */
static void beat(struct supervisor *s, uint64_t now)
{
	s->beat_at = now + beat_ms();
	notify_alive();
	if (!s->engine || ++s->silent_beats < BEATS_OF_A_HANG)
		return;
	s->silent_beats = 0;
	log_error("MDC5701", "the engine (process %d) has not said for %.1f s that it is alive: it is killed",
		  (int)s->engine, (double)supervisor_patience_ms() / 1000);
	kill(s->engine, SIGKILL);
}

/* --- the loop ------------------------------------------------------------------------------------ */

static void do_what_is_due(struct supervisor *s)
{
	uint64_t now = now_ms();
	struct err err = ERR_INIT;

	if (now >= s->beat_at)
		beat(s, now);
	if (s->watchdog && now >= s->pet_at)
		pet(s);
	if (s->engine && now >= s->kill_at) {
		log_error("MDC5406", "the engine does not stop: it is killed");
		kill(s->engine, SIGKILL);
		s->kill_at = UINT64_MAX;
	}
	if (!s->engine && s->stops == 0 && now >= s->start_at &&
	    start_engine(s, &err) < 0) {
		log_error("MDC5407", "no engine: %s", err.text);
		plan_restart(s);
	}
}

static void run(struct supervisor *s)
{
	while (s->stops == 0 || s->engine) {
		uint64_t now, next = min_u64(min_u64(s->kill_at, s->beat_at),
					     s->engine ? UINT64_MAX : s->start_at);
		struct pollfd fds[2] = { { .fd = s->signal_fd, .events = POLLIN },
					 { .fd = s->engine_fd, .events = POLLIN } };

		now = now_ms();
		next = min_u64(next, s->pet_at);
		if (poll(fds, 2, next > now ? (int)(next - now) : 0) < 0 && errno != EINTR)
			return;
		if (fds[1].revents)
			(void)hear_engine(s);
		if (fds[0].revents)
			take_signal(s);
		do_what_is_due(s);
	}
}

static int begin(struct supervisor *s, struct err *err)
{
	int r;

	sigemptyset(&s->signals);
	sigaddset(&s->signals, SIGCHLD);
	sigaddset(&s->signals, SIGHUP);
	sigaddset(&s->signals, SIGINT);
	sigaddset(&s->signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &s->signals, NULL);
	s->signal_fd = signalfd(-1, &s->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		return err_set(err, -errno, "no signals: %s", strerror(errno));
	r = make_folder(s->config->run_dir, 0755, err);
	if (r == 0)
		r = make_folder(s->config->state_dir, 0700, err);
	if (r == 0)
		r = take_lock(s, err);
	return r < 0 ? r : open_watchdog(s, err);
}

int supervisor_run(const struct options *options)
{
	struct supervisor s = { .options = options, .lock_fd = -1, .signal_fd = -1,
				.engine_fd = -1, .kill_at = UINT64_MAX,
				.pet_at = UINT64_MAX };
	struct err err = ERR_INIT;

	s.config = daemon_config_read(options->config_path, &err);
	if (!s.config) {
		log_error("MDC5408", "the configuration cannot be used: %s", err.text);
		return daemon_config_exit(&err);
	}
	s.exit_code = EXIT_FAILED;
	if (begin(&s, &err) < 0) {
		s.exit_code = err.code == -EBUSY ? EXIT_RUNNING : EXIT_FAILED;
		log_error("MDC5409", "it does not start: %s", err.text);
	} else {
		run(&s);
	}
	watchdog_close(s.watchdog, s.engine == 0);
	if (s.signal_fd >= 0)
		close(s.signal_fd);
	if (s.lock_fd >= 0)
		close(s.lock_fd);
	config_free(s.config);
	return s.exit_code;
}

uint64_t supervisor_patience_ms(void)
{
	uint64_t us = notify_watchdog_us();

	return us ? us / 1000 : PATIENCE_MS;
}

void supervisor_tell(int fd, const char *fmt, ...)
{
	char word[WORD_BYTES];
	va_list args;
	ssize_t n;

	va_start(args, fmt);
	vsnprintf(word, sizeof(word), fmt, args);
	va_end(args);
	n = send(fd, word, strlen(word), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)n;
}
