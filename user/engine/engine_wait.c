// SPDX-License-Identifier: BSD-2-Clause
/*
 * engine_wait.c - mr_wait(): output, input, return to the application, and sleep.
 * Owns        when the thread spins, sleeps and wakes up; the order of output and input.
 * Called by   the application's thread; mr_wakeup() by any thread and by signal handlers.
 *
 * Output comes first: what the application has queued since the last call is sent with the ACKs that the last input
 * has to send, in the same segments and with one doorbell. Input comes next, for a whole batch. If a socket is ready
 * then, the call returns without output, because the application is about to write. Otherwise it runs output again,
 * spins for a short time, and sleeps.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include "base/compiler.h"
#include "engine/engine_priv.h"

#define SPINS_PER_CLOCK 32u /* how often the rings are read between two readings of the clock */

static void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield" ::: "memory");
#endif
}

/* ---- Waking up ------------------------------------------------------------------------------- */

void mr_wakeup(struct mr_engine *engine)
{
	int saved = errno; /* a signal handler must not change it */
	ssize_t n;

	if (!engine)
		return;
	__atomic_store_n(&engine->wake_asked, 1, __ATOMIC_RELEASE);
	n = write(engine->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	(void)n; /* EAGAIN: it is readable already */
	errno = saved;
}

static bool wake_asked(const struct mr_engine *engine)
{
	return __atomic_load_n(&engine->wake_asked, __ATOMIC_RELAXED);
}

/* A mr_wakeup() between the two steps leaves the eventfd readable or the flag set: then one wait returns without an
 * event, but no wake-up is lost. */
static bool take_wakeup(struct mr_engine *engine)
{
	uint64_t count;
	ssize_t n;

	if (!wake_asked(engine))
		return false;
	__atomic_store_n(&engine->wake_asked, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	n = read(engine->wake_fd, &count, sizeof(count));
	(void)n;
	return true;
}

/* ---- Spin and sleep ------------------------------------------------------------------------------- */

bool engine_spin(const struct mr_engine *engine, uint64_t until, const uint32_t *flag)
{
	do {
		for (unsigned i = 0; i < SPINS_PER_CLOCK; i++) {
			if (engine->dev->ops->rx_ready(engine->dev) ||
			    __atomic_load_n(flag, __ATOMIC_RELAXED))
				return true;
			cpu_relax();
		}
	} while (engine_clock(engine) < until);
	return false;
}

/* Sleep until `until` (MR_TIME_NEVER: no limit), a packet, a link event, or a wake-up. */
static int sleep_until(struct mr_engine *engine, uint64_t until, bool *interrupted)
{
	struct timespec ts, *timeout = NULL;
	uint64_t now = engine_clock(engine);
	int n;

	if (until != MR_TIME_NEVER) {
		uint64_t left = until > now ? until - now : 0;

		ts.tv_sec = (time_t)(left / MR_NS_PER_S);
		ts.tv_nsec = (long)(left % MR_NS_PER_S);
		timeout = &ts;
	}
	MR_COUNT(&engine->st->ctr, ENGINE_SLEEPS);
	n = ppoll(engine->pfds, engine->npfds, timeout, NULL);
	if (n < 0) {
		*interrupted = true; /* EINTR; after other errors it must not sleep again, either */
		return 0;
	}
	if (engine->pfds[engine->npfds - 1].revents)
		__atomic_store_n(&engine->wake_asked, 1, __ATOMIC_RELAXED);
	/* There is no packet, so it was a link event, or the error of a socket whose device is gone. */
	if (n > 0 && !wake_asked(engine) && !engine->dev->ops->rx_ready(engine->dev))
		return mr_engine_service(engine, engine_clock(engine));
	return 0;
}

/* The first write error ends the capture. It is logged at once, because the file does not show that something is
 * missing. */
static void flush_capture(struct mr_engine *engine)
{
	int err = engine->cap ? mr_pcapng_flush(engine->cap) : 0;

	if (!err)
		return;
	engine_log(engine, LOG_ERR, "the capture ends here: %s", strerror(-err));
	mr_pcapng_close(engine->cap);
	engine->cap = engine->port.cap = NULL;
}

/* Nothing was received, and everything that can be sent was sent. */
static int idle(struct mr_engine *engine, uint64_t now, uint64_t deadline, bool *interrupted)
{
	uint64_t until = mr_min(mr_engine_next(engine, now), deadline);

	if (engine->xdp) /* nobody is woken when it is detached */
		until = mr_min(until, engine->st->service_at);
	if (until <= now || engine->dev->ops->rx_ready(engine->dev))
		return 0;
	if (engine->spin_ns &&
	    engine_spin(engine, mr_min(until, now + engine->spin_ns), &engine->wake_asked))
		return 0;
	if (engine_clock(engine) >= until)
		return 0;
	mr_port_rest(&engine->port);
	flush_capture(engine);
	return sleep_until(engine, until, interrupted);
}

/* ---- The loop -------------------------------------------------------------------------------- */

int mr_wait(struct mr_engine *engine, struct mr_event *events, unsigned max, int64_t timeout_us)
{
	uint64_t now, deadline = MR_TIME_NEVER;
	bool interrupted = false;
	int err;

	if (!engine || !engine->dev || !events || !max)
		return -EINVAL;
	now = engine_clock(engine);
	if (timeout_us >= 0 && (uint64_t)timeout_us < (MR_TIME_NEVER - now) / MR_NS_PER_US)
		deadline = now + (uint64_t)timeout_us * MR_NS_PER_US;
	err = mr_engine_output(engine, now);
	while (!err) {
		unsigned received = mr_engine_input(engine, now);
		unsigned n = mr_socks_events(&engine->st->socks, events,
					     mr_min(max, (unsigned)INT32_MAX));

		if (now >= engine->st->service_at) {
			flush_capture(engine);
			err = mr_engine_service(engine, now);
			if (!err && engine->xdp)
				engine->opener->keep_attached(engine);
		}
		if (n)
			return (int)n;
		err = err ?: mr_engine_output(engine, now);
		if (err || take_wakeup(engine) || interrupted || now >= deadline)
			break;
		if (!received)
			err = idle(engine, now, deadline, &interrupted);
		now = engine_clock(engine);
	}
	return err;
}

int mr_flush(struct mr_engine *engine)
{
	if (!engine || !engine->dev)
		return -EINVAL;
	return mr_engine_output(engine, engine_clock(engine));
}
