// SPDX-License-Identifier: BSD-2-Clause
/*
 * call_signal.c - sigaction and variants: a signal handler may use the stack, whatever it interrupts.
 * Owns        the program's handlers; in each thread, a deferred signal.
 * Called by   the program; the kernel, for each signal with a handler.
 *
 * The kernel calls trampoline(). If the thread is outside of the stack, that calls the program's handler. A thread
 * that is inside (mr_share_inside()) holds the lock, and a handler that wants it would wait for ever: the trampoline
 * stores the signal, leaves the thread with signals blocked, and returns. When the thread is outside again, it sends
 * the signal to itself and unblocks signals, so that the kernel calls the handler as it would have: on its stack,
 * with its mask and a context that it may leave by siglongjmp(). That costs nothing unless a signal arrives in just
 * these microseconds; blocking signals around each call would cost two system calls every time.
 *
 * Faults of the code itself cannot be deferred. Handlers that are installed without the C library are not seen. A
 * program with a seccomp filter may not be permitted the system calls that this needs: there a handler that uses the
 * stack inside of it ends the process (share.c).
 */
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/compiler.h"
#include "posix/confine.h"
#include "posix/handlers.h"
#include "posix/posix.h"

typedef void (*three_args)(int, siginfo_t *, void *);

/* Flags that differ from what the program has set: the kernel always passes three arguments, and it would remove an
 * SA_RESETHAND handler when the signal arrives, and not when the handler runs. */
#define HIDDEN_FLAGS (SA_SIGINFO | (int)SA_RESETHAND)

/* For signals whose handler is the trampoline: the program's handler, and its SA_* flags. */
static _Atomic(three_args) handlers[_NSIG];
static atomic_int flags[_NSIG];
static atomic_bool any; /* a handler was installed at some time */

/* The kernel's signal set. */
typedef uint64_t mask_t;
_Static_assert(sizeof(mask_t) == _NSIG / 8, "the kernel's signal set has another size here");

/* The deferred signal of this thread. */
static __thread struct handled seen;
static __thread struct {
	bool taken;
	siginfo_t info;
	mask_t mask; /* to be restored */
} off;

static mask_t bit(int sig)
{
	return (mask_t)1 << (sig - 1);
}

/* ---- What the program says, and what the kernel is told --------------------------------------- */

static void trampoline(int sig, siginfo_t *info, void *context);

/* An entry of the tables. */
struct entry {
	three_args handler;
	int flags;
};

static bool may_have_handler(int sig)
{
	return sig > 0 && sig < _NSIG;
}

static struct entry entry_of(int sig)
{
	return (struct entry){ atomic_load(&handlers[sig]), atomic_load(&flags[sig]) };
}

static bool is_function(three_args handler)
{
	return handler != (three_args)(uintptr_t)SIG_DFL &&
	       handler != (three_args)(uintptr_t)SIG_IGN;
}

/* Convert the program's action into the one for the kernel. */
static void to_kernel(int sig, three_args *handler, int *sa_flags)
{
	if (!is_function(*handler) || !px_offered() || px_confined())
		return;
	atomic_store(&handlers[sig], *handler);
	atomic_store(&flags[sig], *sa_flags);
	atomic_store(&any, true);
	*handler = trampoline;
	*sa_flags = (*sa_flags & ~HIDDEN_FLAGS) | SA_SIGINFO;
}

static void from_kernel(const struct entry *entry, three_args *handler, int *sa_flags)
{
	if (*handler != trampoline)
		return;
	*handler = entry->handler;
	*sa_flags = (*sa_flags & ~HIDDEN_FLAGS) | (entry->flags & HIDDEN_FLAGS);
}

/* ---- A signal comes -------------------------------------------------------------------------- */

/* Faults of the code itself, whose signals can be neither deferred nor blocked. */
static mask_t fault_signals(void)
{
	return bit(SIGSEGV) | bit(SIGBUS) | bit(SIGFPE) | bit(SIGILL) | bit(SIGTRAP) | bit(SIGSYS);
}

/* Signals of the C library itself: for cancellation, and setuid() in all threads. */
static mask_t library_signals(void)
{
	return bit(__SIGRTMIN) | bit(__SIGRTMIN + 1);
}

static bool is_fault(int sig, const siginfo_t *info)
{
	return bit(sig) & fault_signals() && info->si_code > 0;
}

/* Block all signals in the interrupted thread. */
static void put_off(const siginfo_t *info, ucontext_t *context)
{
	mask_t blocked;

	off.taken = true;
	off.info = *info;
	/* The C library's set is larger than the kernel's, which is what is there. */
	memcpy(&off.mask, &context->uc_sigmask, sizeof(off.mask));
	blocked = off.mask | ~(fault_signals() | library_signals());
	memcpy(&context->uc_sigmask, &blocked, sizeof(blocked));
	mr_share_owe();
}

void handlers_owed(struct mr_share *share)
{
	const mask_t mask = off.mask;
	siginfo_t info = off.info;
	pid_t pid = getpid();
	long tid = REAL(syscall)(SYS_gettid);
	int saved = errno;

	(void)share;
	off.taken = false;
	if (REAL(syscall)(SYS_rt_tgsigqueueinfo, pid, tid, info.si_signo, &info))
		/* It could not be queued with its information. */
		REAL(syscall)(SYS_tgkill, pid, tid, info.si_signo);
	errno = saved;
	REAL(syscall)(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
}

/* SA_RESETHAND: the handler runs now, once. The remaining action is that of Linux. */
static void reset(int sig)
{
	struct entry entry = entry_of(sig);
	struct sigaction sa;

	atomic_fetch_and(&flags[sig], ~(int)SA_RESETHAND);
	REAL(sigaction)(sig, NULL, &sa);
	from_kernel(&entry, &sa.sa_sigaction, &sa.sa_flags);
	sa.sa_handler = SIG_DFL;
	REAL(sigaction)(sig, &sa, NULL);
}

static void trampoline(int sig, siginfo_t *info, void *context)
{
	struct entry entry;

	/* A second signal can only be one that is not blocked, sent by somebody. */
	if (mr_share_inside() && !is_fault(sig, info) && !off.taken && !px_confined()) {
		put_off(info, context);
		return;
	}
	entry = entry_of(sig);
	if (entry.flags & (int)SA_RESETHAND)
		reset(sig);
	entry.handler(sig, info, context);
	seen.all++;
	seen.ending += !(entry.flags & SA_RESTART);
	mr_share_interrupt();
}

struct handled handlers_seen(void)
{
	return seen;
}

/* ---- sigaction ------------------------------------------------------------------------------- */

static int action(int sig, const struct sigaction *new, struct sigaction *old)
{
	struct entry before = entry_of(sig);
	struct sigaction sa;
	int ret;

	if (new) {
		sa = *new;
		to_kernel(sig, &sa.sa_sigaction, &sa.sa_flags);
	}
	ret = REAL(sigaction)(sig, new ? &sa : NULL, old);
	if (!ret && old)
		from_kernel(&before, &old->sa_sigaction, &old->sa_flags);
	return ret;
}

PUBLIC int sigaction(int sig, const struct sigaction *restrict new, struct sigaction *restrict old)
{
	return may_have_handler(sig) ? action(sig, new, old) : REAL(sigaction)(sig, new, old);
}

int __sigaction(int sig, const struct sigaction *new, struct sigaction *old);

PUBLIC int __sigaction(int sig, const struct sigaction *new, struct sigaction *old)
{
	return sigaction(sig, new, old);
}

/* The kernel's structure; the restorer is the caller's. */
struct kernel_action {
	three_args handler;
	unsigned long flags;
	void (*restorer)(void);
	mask_t mask;
};

long handlers_action(int sig, const void *new, void *old, size_t size)
{
	struct kernel_action ka, *was = old;
	struct entry before;
	int sa_flags;
	long ret;

	if (!may_have_handler(sig) || size != sizeof(mask_t))
		return REAL(syscall)(SYS_rt_sigaction, sig, new, old, size);
	before = entry_of(sig);
	if (new) {
		ka = *(const struct kernel_action *)new;
		sa_flags = (int)ka.flags;
		to_kernel(sig, &ka.handler, &sa_flags);
		ka.flags = (unsigned)sa_flags;
	}
	ret = REAL(syscall)(SYS_rt_sigaction, sig, new ? &ka : NULL, old, size);
	if (!ret && was) {
		sa_flags = (int)was->flags;
		from_kernel(&before, &was->handler, &sa_flags);
		was->flags = (unsigned)sa_flags;
	}
	return ret;
}

/* ---- Older names, which in the C library do not go by its sigaction() ------------------------- */

static sigset_t interrupting; /* siginterrupt() */

static sighandler_t install(int sig, sighandler_t handler, int sa_flags, bool mask_itself)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = sa_flags }, old;

	if (handler == SIG_ERR || !may_have_handler(sig)) {
		errno = EINVAL;
		return SIG_ERR;
	}
	sigemptyset(&sa.sa_mask);
	if (mask_itself)
		sigaddset(&sa.sa_mask, sig);
	return sigaction(sig, &sa, &old) < 0 ? SIG_ERR : old.sa_handler;
}

PUBLIC sighandler_t signal(int sig, sighandler_t handler)
{
	return install(sig, handler, sigismember(&interrupting, sig) > 0 ? 0 : SA_RESTART, true);
}

sighandler_t bsd_signal(int sig, sighandler_t handler);

PUBLIC sighandler_t bsd_signal(int sig, sighandler_t handler)
{
	return signal(sig, handler);
}

PUBLIC sighandler_t ssignal(int sig, sighandler_t handler)
{
	return signal(sig, handler);
}

PUBLIC sighandler_t __sysv_signal(int sig, sighandler_t handler)
{
	return install(sig, handler, (int)SA_RESETHAND | SA_NODEFER, false);
}

PUBLIC sighandler_t sysv_signal(int sig, sighandler_t handler)
{
	return __sysv_signal(sig, handler);
}

PUBLIC int siginterrupt(int sig, int interrupts)
{
	struct sigaction sa;

	if (sigaction(sig, NULL, &sa) < 0)
		return -1;
	if (interrupts) {
		sigaddset(&interrupting, sig);
		sa.sa_flags &= ~SA_RESTART;
	} else {
		sigdelset(&interrupting, sig);
		sa.sa_flags |= SA_RESTART;
	}
	return sigaction(sig, &sa, NULL);
}

#define HOLD ((sighandler_t)2) /* <signal.h> defines SIG_HOLD only for some programs */

PUBLIC sighandler_t sigset(int sig, sighandler_t handler)
{
	struct sigaction sa;
	sigset_t set, before;
	sighandler_t old;

	sigemptyset(&set);
	if (sigaddset(&set, sig) < 0 || handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	if (handler == HOLD) {
		if (sigprocmask(SIG_BLOCK, &set, &before) < 0 || sigaction(sig, NULL, &sa) < 0)
			return SIG_ERR;
		old = sa.sa_handler;
	} else {
		old = install(sig, handler, 0, false);
		if (old == SIG_ERR || sigprocmask(SIG_UNBLOCK, &set, &before) < 0)
			return SIG_ERR;
	}
	return sigismember(&before, sig) ? HOLD : old;
}

/* ---- For the other calls --------------------------------------------------------------------- */

bool handlers_restart(void)
{
	if (px_confined())
		return confined_restart();
	for (int sig = 1; sig < _NSIG; sig++) {
		struct sigaction sa;

		if (REAL(sigaction)(sig, NULL, &sa) < 0 || !is_function(sa.sa_sigaction) ||
		    sa.sa_sigaction == trampoline)
			continue;
		if (!(sa.sa_flags & SA_RESTART))
			return false;
	}
	return true;
}

bool handlers_block(sigset_t *saved)
{
	sigset_t all;

	if (!atomic_load(&any) || px_confined())
		return false;
	sigfillset(&all);
	return !pthread_sigmask(SIG_BLOCK, &all, saved);
}

void handlers_confine(bool confined)
{
	for (int sig = 1; sig < _NSIG; sig++) {
		struct entry entry = entry_of(sig);
		struct sigaction sa;

		if (!(entry.flags & (int)SA_RESETHAND) || REAL(sigaction)(sig, NULL, &sa) < 0 ||
		    sa.sa_sigaction != (confined ? trampoline : entry.handler))
			continue;
		if (confined)
			from_kernel(&entry, &sa.sa_sigaction, &sa.sa_flags);
		else
			to_kernel(sig, &sa.sa_sigaction, &sa.sa_flags);
		REAL(sigaction)(sig, &sa, NULL);
	}
}
