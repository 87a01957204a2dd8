// SPDX-License-Identifier: BSD-2-Clause
/*
 * socket_recv.c - the receive buffer: frames of payload in order, read by copying or by borrowing them.
 * Owns        sock->rcvq, copied_seq and the urgent mark; the free space that TCP may announce.
 * Implements  RFC 6093 (urgent data) as Linux does: one byte, out of line unless MR_OPT_OOBINLINE is set.
 * Called by   TCP's upcalls (data, fin, urgent) and the application.
 *
 * The limit is rcvbuf bytes of payload. The number of frames is limited, too, so that small segments cannot pin the
 * UMEM: small pieces are copied together, and the announced space is never more than the frames that are still
 * allowed can hold of pieces too large for that.
 */
#include <errno.h>
#include <string.h>
#include "base/compiler.h"
#include "base/time.h"
#include "socket/socket_priv.h"

#define COALESCE_BYTES 512u /* larger pieces are not copied together, unless frames are scarce */
#define SPARE_FRAMES   8u   /* more frames than rcvbuf / COALESCE_BYTES */
/* Least announced space of an empty buffer, however few frames are left. */
#define FLOOR_BYTES 4096u
/* Interval: a window counts for one to two intervals after its last use. */
#define STRETCH_NS (MR_NS_PER_S / 4)
/* A new connection's window: one part in so many of what is not promised. */
#define FIRST_PARTS   16u
#define DENSITY_SHIFT 6u /* weight of the newest frame: 1/64 */

/* ---- The queue ------------------------------------------------------------------------------- */

static struct mr_frame *pop_head(struct mr_rcvq *q)
{
	struct mr_frame *f = q->head;

	q->head = f->next;
	if (!q->head)
		q->tail = NULL;
	q->frames--;
	f->next = NULL;
	return f;
}

/* The application has read n bytes. */
static void advance(struct mr_socket *sock, uint32_t n)
{
	sock->rcvq.bytes -= n;
	sock->copied_seq += n;
	if (sock->urgent && seq_gt(sock->copied_seq, sock->urgent_seq))
		sock->urgent = MR_URGENT_NONE;
}

static void take_front(struct mr_frame *f, uint32_t n)
{
	f->pay += n;
	f->pay_len -= n;
	f->seq += n;
}

static void consume(struct mr_socket *sock, uint32_t n)
{
	struct mr_rcvq *q = &sock->rcvq;

	advance(sock, n);
	while (n) {
		uint32_t part = mr_min(n, q->head->pay_len);

		take_front(q->head, part);
		n -= part;
		if (!q->head->pay_len)
			mr_frame_put(sock->socks->frames, pop_head(q));
	}
}

/* What a read may return: `len` bytes, `skip` bytes behind the front of the queue. */
struct view {
	uint32_t skip, len;
};

/* A read stops before the urgent byte, so that the application can find the mark. The next read skips that byte, or
 * returns it if urgent data is in line. */
static struct view read_view(const struct mr_socket *sock)
{
	struct view v = { 0, sock->rcvq.bytes };
	uint32_t mark;

	if (mr_likely(!sock->urgent))
		return v;
	mark = seq_diff(sock->urgent_seq, sock->copied_seq);
	if (mark) {
		v.len = mr_min(v.len, mark);
	} else if (!sock->oobinline && v.len) {
		v.skip = 1;
		v.len--;
	}
	return v;
}

uint32_t recv_readable(const struct mr_socket *sock)
{
	return read_view(sock).len;
}

bool recv_at_mark(const struct mr_socket *sock)
{
	return sock->urgent && sock->urgent_seq == sock->copied_seq;
}

bool recv_urgent_there(const struct mr_socket *sock)
{
	return sock->urgent == MR_URGENT_UNREAD &&
	       seq_diff(sock->urgent_seq, sock->copied_seq) < sock->rcvq.bytes;
}

static bool pressed(const struct mr_socks *socks)
{
	return socks->frames->nfree < socks->rx_low;
}

bool recv_ready(const struct mr_socket *sock)
{
	uint32_t want = sock_opts(sock)->rcvlowat + (!sock->oobinline && recv_at_mark(sock));

	if (!recv_readable(sock))
		return false;
	/* A reader that waits for more than the window permits would wait for ever. */
	return sock->rcvq.bytes >= want || !sock->tcb || pressed(sock->socks) ||
	       sock->tcb->rcv_wnd <= sock->tcb->rcv_mss;
}

bool recv_pressed(const struct mr_socket *sock)
{
	return sock->tcb && pressed(sock->socks);
}

static void count_holder(struct mr_socket *sock)
{
	struct mr_socks *socks = sock->socks;
	bool holds = sock->rcvq.bytes + sock->rcvq.lent != 0;

	if (holds == sock->holds)
		return;
	sock->holds = holds;
	socks->nholding = holds ? socks->nholding + 1 : socks->nholding - 1;
}

void recv_drop_all(struct mr_socket *sock)
{
	while (sock->rcvq.head)
		mr_frame_put(sock->socks->frames, pop_head(&sock->rcvq));
	sock->rcvq = (struct mr_rcvq){ 0 }; /* lent frames no longer count here */
	count_holder(sock);
}

/* ---- Free space ------------------------------------------------------------------------------ */

/* The least space that an empty buffer announces, however few frames are left: nobody reads from an empty buffer, so
 * nothing else would ever open its window again. */
static uint32_t floor_bytes(const struct mr_socket *sock)
{
	return mr_max(FLOOR_BYTES, 2u * sock->tcb->adv_mss);
}

/* Bytes that can still be received: into the device's frames, and into those that it may take. */
static uint64_t bytes_to_come(const struct mr_socks *socks)
{
	const struct mr_frame_pool *frames = socks->frames;
	uint64_t n = frames->nready + frames->nfree - mr_min(frames->nfree, socks->rx_spare);

	return n * socks->rx_density / 4 * 3;
}

static bool counted(const struct mr_socket *sock)
{
	return sock->stretch && sock->socks->stretch - sock->stretch <= 1;
}

static uint64_t all_promised(struct mr_socks *socks)
{
	if (socks->now - socks->stretch_since >= STRETCH_NS) {
		bool missed = socks->now - socks->stretch_since >= 2 * STRETCH_NS;

		socks->promised_before = missed ? 0 : socks->promised;
		socks->promised = 0;
		socks->stretch += missed ? 2 : 1;
		socks->stretch_since = socks->now;
	}
	return socks->promised + socks->promised_before;
}

static void unpromise(struct mr_socket *sock)
{
	struct mr_socks *socks = sock->socks;

	all_promised(socks);
	if (counted(sock) && sock->stretch == socks->stretch)
		socks->promised -= sock->promised;
	else if (counted(sock))
		socks->promised_before -= sock->promised;
	sock->promised = sock->stretch = 0;
}

/* Count this socket's window as promised. */
static void promise(struct mr_socket *sock)
{
	struct mr_socks *socks = sock->socks;

	unpromise(sock);
	if (sock->fin_rcvd)
		return;
	sock->promised = mr_max(sock->tcb->rcv_wnd, sock->tcb->rcv_space);
	sock->stretch = socks->stretch;
	socks->promised += sock->promised;
}

/* Everything that is announced can arrive at once, and needs frames. So a window may be no larger than what is not
 * promised to others: n connections have an (n + 1)th each, however many they are, and a new one finds room (dynamic
 * thresholds, Choudhury and Hahne 1998). What a connection holds unread is part of its share; otherwise one that is read
 * slowly would take the rest bit by bit. What was announced before is not withdrawn, but not renewed. */
static uint32_t fair_share(const struct mr_socket *sock, uint32_t space, uint32_t used)
{
	uint64_t all = bytes_to_come(sock->socks), others = all_promised(sock->socks);

	others -= counted(sock) ? sock->promised : 0;
	return (uint32_t)mr_min((uint64_t)space,
				all > others + used ? (all - others - used) / 2 : 0);
}

/* The same for the window of a SYN, when there is no socket yet. */
static void set_first_window(struct mr_socks *socks)
{
	uint64_t all = bytes_to_come(socks), promised = all_promised(socks);
	uint64_t part = all > promised ? (all - promised) / FIRST_PARTS : 0;

	socks->tcp->rcv_wnd_first =
		(uint16_t)mr_min(mr_max(part, (uint64_t)FLOOR_BYTES), (uint64_t)UINT16_MAX);
}

static uint32_t free_space(const struct mr_socket *sock)
{
	const struct mr_socks *socks = sock->socks;
	const struct mr_rcvq *q = &sock->rcvq;
	uint32_t limit = sock_opts(sock)->rcvbuf, used = q->bytes + q->lent;
	uint32_t most_frames = limit / COALESCE_BYTES + SPARE_FRAMES;
	uint32_t frames = q->frames + q->lent_frames;
	uint32_t space = limit > used ? limit - used : 0, share;

	space = mr_min(space, frames < most_frames ? (most_frames - frames) * COALESCE_BYTES : 0);
	share = fair_share(sock, space, used);
	/* Divide what is left among the sockets that hold something. */
	if (mr_unlikely(pressed(socks)))
		share = (uint32_t)mr_min((uint64_t)share, (uint64_t)socks->frames->nfree *
								  COALESCE_BYTES /
								  (socks->nholding + !used));
	space = used ? share : mr_min(space, mr_max(share, floor_bytes(sock)));
	return sock_opts(sock)->window_clamp ? mr_min(space, sock_opts(sock)->window_clamp) : space;
}

/* ---- Autotuning (dynamic right-sizing, as Linux's tcp_rcv_space_adjust()) ----------------------- */

static uint32_t now_us(const struct mr_socket *sock)
{
	return (uint32_t)(sock->socks->now / MR_NS_PER_US);
}

void recv_begin(struct mr_socket *sock)
{
	uint32_t first;

	sock->read_seq = sock->copied_seq;
	sock->read_at_us = now_us(sock);
	sock->read_bytes = MR_TCP_INIT_WND * sock->tcb->adv_mss;
	set_first_window(sock->socks);
	/* The next segment announces it. Most of the frames are for connections that turn out to receive much. */
	first = mr_max((uint32_t)sock->socks->tcp->rcv_wnd_first, sock->tcb->rcv_wnd);
	sock->tcb->rcv_space = mr_min(sock->tcb->rcv_space, first);
	promise(sock);
	set_first_window(sock->socks);
}

/* The application has read. Once per RTT: a buffer that must not limit the rate holds twice what is read in one RTT
 * (what is in flight, and what may be missing before it), and more while that amount grows, because the sender
 * doubles its window in slow start. */
static void autotune(struct mr_socket *sock)
{
	const struct mr_socks *socks = sock->socks;
	const struct mr_tcb *tcb = sock->tcb;
	struct mr_tcp_opts *o;
	uint32_t rtt, read;
	uint64_t want;

	if (!tcb)
		return;
	rtt = tcb->rcv_rtt_us ?: (uint32_t)(tcb->srtt_ns / MR_NS_PER_US);
	if (!rtt || now_us(sock) - sock->read_at_us < rtt)
		return;
	read = seq_diff(sock->copied_seq, sock->read_seq);
	if (read > sock->read_bytes) {
		o = sock_opts(sock);
		want = 2 * (uint64_t)read + 16u * tcb->adv_mss;
		want += 2 * (want * (read - sock->read_bytes) / sock->read_bytes);
		want = mr_min(want, (uint64_t)socks->rcvbuf_max);
		if (!o->rcvbuf_fixed && want > o->rcvbuf && !pressed(socks))
			o->rcvbuf = (uint32_t)want;
		sock->read_bytes = read;
	}
	sock->read_seq = sock->copied_seq;
	sock->read_at_us = now_us(sock);
}

/* Copy the payload of adjacent frames together where it fits. Afterwards any two of them have more than a chunk, so
 * another pass is useless until the queue has changed. */
static void collapse(struct mr_socket *sock)
{
	struct mr_frame_pool *frames = sock->socks->frames;
	struct mr_rcvq *q = &sock->rcvq;
	struct mr_frame *f = q->head, *next;

	while (f && (next = f->next)) {
		uint8_t *end = f->pay + f->pay_len;

		if (f->refs != 1 || next->refs != 1 ||
		    next->pay_len > (uint32_t)(f->chunk + frames->chunk_size - end)) {
			f = next;
			continue;
		}
		memcpy(end, next->pay, next->pay_len);
		f->pay_len += next->pay_len;
		f->next = next->next;
		if (q->tail == next)
			q->tail = f;
		q->frames--;
		mr_frame_put(frames, next);
		MR_COUNT(sock->socks->ctr, TCP_COLLAPSED);
	}
}

/* When frames are scarce: may this socket hold another frame? Not more than are free for the others. So n connections
 * that nobody reads from hold an (n + 1)th each, however many they are, and leave one over (as for sending:
 * socket_send.c). A socket with few bytes in many frames first copies them together. */
bool recv_room(void *owner)
{
	struct mr_socket *sock = owner;
	const struct mr_frame_pool *frames = sock->socks->frames;
	struct mr_rcvq *q = &sock->rcvq;
	uint32_t last = frames->nframes / 32; /* for ACKs */
	uint32_t others = q->lent_frames + mr_tcp_ooo_frames(sock->tcb);
	uint32_t most = frames->nfree > last ? frames->nfree - last : 0;

	if (q->frames + others >= most && q->bytes < q->frames * (frames->chunk_size / 2)) {
		collapse(sock);
		most = frames->nfree > last ? frames->nfree - last : 0;
	}
	if (q->frames + others < most)
		return true;
	sock_mark(sock); /* its reader may wait for more than can arrive now: recv_ready() */
	return false;
}

void recv_update_space(struct mr_socket *sock)
{
	count_holder(sock);
	if (!sock->tcb)
		return;
	mr_tcp_rcv_space(sock->socks->tcp, sock->tcb, free_space(sock));
	if (counted(sock))
		promise(sock);
	set_first_window(sock->socks);
}

void recv_over(struct mr_socket *sock)
{
	unpromise(sock);
	set_first_window(sock->socks);
}

/* ---- Upcalls --------------------------------------------------------------------------------- */

/* Copy a small piece behind the last frame's payload, so that it needs no frame. */
static bool coalesce(struct mr_socket *sock, const struct mr_frame *chunk)
{
	struct mr_frame_pool *frames = sock->socks->frames;
	struct mr_frame *tail = sock->rcvq.tail;
	uint32_t room;

	if (!tail || tail->refs != 1) /* lent in part: its bytes must not change */
		return false;
	if (chunk->pay_len > COALESCE_BYTES && !pressed(sock->socks))
		return false;
	room = frames->chunk_size - (uint32_t)(tail->pay - tail->chunk) - tail->pay_len;
	if (chunk->pay_len > room)
		return false;
	memcpy(tail->pay + tail->pay_len, chunk->pay, chunk->pay_len);
	tail->pay_len += chunk->pay_len;
	MR_COUNT(sock->socks->ctr, TCP_COLLAPSED);
	return true;
}

/* Small pieces are copied together, so they do not take a frame each. */
static void note_density(struct mr_socks *socks, uint32_t bytes)
{
	bytes = mr_max(bytes, COALESCE_BYTES);
	socks->rx_density += (bytes >> DENSITY_SHIFT) - (socks->rx_density >> DENSITY_SHIFT);
}

void recv_data(void *owner, struct mr_frame *chunk)
{
	struct mr_socket *sock = owner;
	struct mr_rcvq *q = &sock->rcvq;
	uint32_t len = chunk->pay_len, space;

	q->bytes += len;
	note_density(sock->socks, len);
	count_holder(sock);
	if (coalesce(sock, chunk)) {
		mr_frame_put(sock->socks->frames, chunk);
	} else {
		chunk->next = NULL;
		if (q->tail)
			q->tail->next = chunk;
		else
			q->head = chunk;
		q->tail = chunk;
		q->frames++;
	}
	/* TCP has deducted the bytes, but does not know how many frames are left. */
	space = sock->tcb ? free_space(sock) : 0;
	if (sock->tcb && space < sock->tcb->rcv_space)
		mr_tcp_rcv_space(sock->socks->tcp, sock->tcb, space);
	if (sock->tcb && (len > COALESCE_BYTES || counted(sock)))
		promise(sock);
	sock_mark(sock);
}

void recv_fin(void *owner)
{
	struct mr_socket *sock = owner;

	sock->fin_rcvd = true;
	recv_over(sock);
	sock_mark(sock);
}

void recv_urgent(void *owner)
{
	struct mr_socket *sock = owner;
	uint32_t seq = sock->tcb->rcv_up;

	if (seq_lt(seq, sock->copied_seq))
		return;
	/* A second mark while the first urgent byte is next in the stream: that byte is lost (as in Linux), so that a
	 * reader which has read it does not get it again. */
	if (sock->urgent && !sock->oobinline && sock->urgent_seq == sock->copied_seq &&
	    sock->rcvq.bytes && seq != sock->urgent_seq) {
		consume(sock, 1);
		recv_update_space(sock);
	}
	sock->urgent_seq = seq;
	sock->urgent = MR_URGENT_UNREAD;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Why there is nothing to read; 0: the end of the stream. The order is Linux's: after a FIN the stream has ended,
 * whatever happened later. A peek does not consume the error. */
static int nothing_to_read(struct mr_socket *sock, bool peek)
{
	if (sock->kind != MR_SOCK_STREAM)
		return -ENOTCONN;
	if (sock->fin_rcvd)
		return 0;
	if (sock->err)
		return peek ? sock->err : sock_take_error(sock);
	return sock->shut_rd || sock_over(sock) ? 0 : -EAGAIN;
}

static ssize_t recv_oob(struct mr_socket *sock, const struct iovec *iov, int iovcnt, bool peek)
{
	uint32_t off = seq_diff(sock->urgent_seq, sock->copied_seq);
	const struct mr_frame *f = sock->rcvq.head;
	int i = 0;

	if (sock->kind != MR_SOCK_STREAM || sock->oobinline || sock->urgent != MR_URGENT_UNREAD)
		return -EINVAL;
	if (off >= sock->rcvq.bytes) /* announced, but not received yet */
		return sock_over(sock) || sock->fin_rcvd || sock->shut_rd ? 0 : -EAGAIN;
	while (i < iovcnt && !iov[i].iov_len)
		i++;
	if (i == iovcnt)
		return 0;
	for (; off >= f->pay_len; f = f->next)
		off -= f->pay_len;
	*(uint8_t *)iov[i].iov_base = f->pay[off];
	if (!peek)
		sock->urgent = MR_URGENT_READ;
	return 1;
}

/* Copy up to v.len bytes out. Returns how many fitted. */
static uint32_t copy_out(const struct mr_socket *sock, struct view v, const struct iovec *iov,
			 int iovcnt)
{
	const struct mr_frame *f = sock->rcvq.head;
	uint32_t off = v.skip, done = 0;

	for (int i = 0; i < iovcnt; i++) {
		size_t at = 0;

		while (at < iov[i].iov_len && done < v.len) {
			uint32_t part;

			if (off == f->pay_len) {
				f = f->next;
				off = 0;
				continue;
			}
			part = mr_min(f->pay_len - off, v.len - done);
			part = (uint32_t)mr_min((size_t)part, iov[i].iov_len - at);
			memcpy((uint8_t *)iov[i].iov_base + at, f->pay + off, part);
			at += part;
			off += part;
			done += part;
		}
	}
	return done;
}

/* The same without copying. */
static uint32_t count_out(struct view v, const struct iovec *iov, int iovcnt)
{
	uint32_t n = 0;

	for (int i = 0; i < iovcnt; i++)
		n += (uint32_t)mr_min((size_t)(v.len - n), iov[i].iov_len);
	return n;
}

ssize_t mr_recvv(struct mr_socket *sock, const struct iovec *iov, int iovcnt, unsigned flags)
{
	bool wanted = false;
	struct view v;
	uint32_t n;

	if (!sock || iovcnt < 0 || (!iov && iovcnt) ||
	    flags & ~(MR_RECV_PEEK | MR_RECV_OOB | MR_RECV_TRUNC))
		return -EINVAL;
	for (int i = 0; i < iovcnt; i++) {
		if (!iov[i].iov_base && iov[i].iov_len && !(flags & MR_RECV_TRUNC))
			return -EINVAL;
		wanted |= iov[i].iov_len != 0;
	}
	if (flags & MR_RECV_OOB && flags & MR_RECV_TRUNC)
		return -EINVAL;
	if (flags & MR_RECV_OOB)
		return recv_oob(sock, iov, iovcnt, flags & MR_RECV_PEEK);
	v = read_view(sock);
	if (!v.len)
		return nothing_to_read(sock, flags & MR_RECV_PEEK);
	if (!wanted)
		return 0;
	n = flags & MR_RECV_TRUNC ? count_out(v, iov, iovcnt) : copy_out(sock, v, iov, iovcnt);
	if (!(flags & MR_RECV_PEEK)) {
		consume(sock, v.skip + n);
		autotune(sock);
		recv_update_space(sock);
	}
	return n;
}

ssize_t mr_recv(struct mr_socket *sock, void *buf, size_t len, unsigned flags)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };

	return mr_recvv(sock, &iov, 1, flags);
}

/* ---- Borrowing ------------------------------------------------------------------------------- */

/* Which socket has lent a frame is stored as index and id, because it may be returned when the socket is closed, and
 * its memory used by another one. */
static uint64_t lender(const struct mr_socket *sock)
{
	return (uint64_t)sock->id << 32 | mr_pool_index(&sock->socks->pool, sock);
}

static struct mr_socket *find_lender(const struct mr_socks *socks, uint64_t mark)
{
	struct mr_socket *sock =
		(void *)(socks->pool.slab + (size_t)(uint32_t)mark * socks->pool.size);

	return sock->id == (uint32_t)(mark >> 32) ? sock : NULL;
}

/* Lend the front of the queue. The slice has a reference of its own; if the whole frame is lent, the queue's. */
static void lend_front(struct mr_socket *sock, struct mr_slice *slice, uint32_t most)
{
	struct mr_rcvq *q = &sock->rcvq;
	struct mr_frame *f = q->head;
	uint32_t n = mr_min(f->pay_len, most);

	/* `reserved` counts when it is returned, even if the application has changed data and len. */
	*slice = (struct mr_slice){ .data = f->pay, .len = n, .reserved = n, .frame = f };
	f->flags |= MR_FRAME_LENT;
	f->lent_by = lender(sock);
	advance(sock, n);
	take_front(f, n);
	if (f->pay_len)
		mr_frame_hold(f);
	else
		pop_head(q);
	q->lent += n;
	q->lent_frames++;
}

int mr_recv_borrow(struct mr_socket *sock, struct mr_slice *slices, unsigned max)
{
	struct view v;
	unsigned n;

	if (!sock || !slices || !max)
		return -EINVAL;
	v = read_view(sock);
	if (!v.len)
		return nothing_to_read(sock, false);
	if (v.skip)
		consume(sock, v.skip);
	for (n = 0; n < max && n < INT32_MAX && v.len; n++) {
		lend_front(sock, &slices[n], v.len);
		v.len -= slices[n].len;
	}
	autotune(sock);
	return (int)n;
}

static bool is_lent_frame(const struct mr_frame_pool *frames, const struct mr_frame *f)
{
	return f >= frames->frames && f < frames->frames + frames->nframes && f->refs &&
	       f->flags & MR_FRAME_LENT;
}

void mr_socks_return(struct mr_socks *socks, struct mr_slice *slices, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct mr_frame *f = slices[i].frame;
		struct mr_socket *sock;
		uint32_t len = slices[i].reserved;

		slices[i] = (struct mr_slice){ 0 }; /* so that a second return has no effect */
		if (!f || !is_lent_frame(socks->frames, f))
			continue;
		sock = find_lender(socks, f->lent_by);
		mr_frame_put(socks->frames, f);
		if (!sock)
			continue;
		assert(sock->rcvq.lent >= len && sock->rcvq.lent_frames);
		sock->rcvq.lent -= len;
		sock->rcvq.lent_frames--;
		recv_update_space(sock);
	}
}

/* ---- Invariants ------------------------------------------------------------------------------ */

void recv_check(const struct mr_socket *sock)
{
	const struct mr_rcvq *q = &sock->rcvq;
	const struct mr_frame *last = NULL;
	uint32_t bytes = 0, frames = 0;

	for (const struct mr_frame *f = q->head; f; f = f->next) {
		assert(f->refs && f->pay_len);
		assert(f->seq == sock->copied_seq + bytes);
		assert(f->pay >= f->chunk &&
		       f->pay + f->pay_len <= f->chunk + sock->socks->frames->chunk_size);
		bytes += f->pay_len;
		frames++;
		last = f;
	}
	assert(last == q->tail);
	assert(bytes == q->bytes && frames == q->frames);
	assert(sock->holds == (q->bytes + q->lent != 0));
	assert(!sock->urgent || seq_geq(sock->urgent_seq, sock->copied_seq));
	assert(!sock->tcb || !sock->connected || q->bytes + q->lent <= UINT32_MAX / 2);
}
