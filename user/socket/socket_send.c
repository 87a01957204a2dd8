// SPDX-License-Identifier: BSD-2-Clause
/*
 * socket_send.c - the limits of the send buffer, and the calls that fill it.
 * Owns        how much of the frame pool sending may take; membership in socks.starved.
 * Called by   the application; TCP's upcall acked.
 * Not here    the send queue itself (tcp/tcp_sndq.c).
 *
 * There are three limits: sndbuf bytes of payload; about twice the frames that sndbuf bytes need, so that many small
 * writes cannot pin the UMEM; and, for all sockets together, the frames that are reserved for receiving
 * (socks.tx_reserve). Of the frames above that reserve a socket may hold as many as are still free: n sockets that
 * fill their buffers, and whose peers never read, then hold an (n + 1)th each and leave one over, so that a later
 * socket finds room (dynamic thresholds, Choudhury and Hahne 1998). A socket that has met this limit is woken when it
 * may take frames again.
 *
 * MR_OUT is reported when a third of the buffer is free, so that a writer is not woken for every ACK. That cannot
 * deadlock: what fills the buffer is in flight or will be sent, and its acknowledgment frees everything.
 */
#include <errno.h>
#include "base/compiler.h"
#include "socket/socket_priv.h"

#define WAKE_FRAMES 8u /* a starved socket is woken when it may take so many frames */
/* One part in so many of all frames is for ACKs; received payload is dropped before that is reached. */
#define LAST_PART    64u
#define SPARE_FRAMES 32u /* more than twice what sndbuf bytes need, for writers of single bytes */

static uint32_t most_frames(const struct mr_socket *sock, uint32_t fill)
{
	return 2 * (sock_opts(sock)->sndbuf / fill) + SPARE_FRAMES;
}

/* Payload bytes that the send buffer can take now. */
static uint32_t buffer_room(const struct mr_socket *sock, uint32_t fill)
{
	const struct mr_sndq *q = &sock->tcb->sndq;
	uint32_t frames = most_frames(sock, fill), lowat = sock_opts(sock)->notsent_lowat;
	uint32_t unsent = mr_tcp_unsent(sock->tcb), room;

	if (q->bytes >= sock_opts(sock)->sndbuf || q->frames >= frames ||
	    (lowat && unsent >= lowat))
		return 0;
	room = mr_min(sock_opts(sock)->sndbuf - q->bytes, (frames - q->frames) * fill);
	/* As Linux: below the mark, a whole segment may be added. */
	return lowat ? mr_min(room, lowat - unsent + fill) : room;
}

bool send_writable(const struct mr_socket *sock)
{
	const struct mr_sndq *q;
	uint32_t frames;

	if (!sock->tcb || !sock_may_write(sock) || sock->reserved || sock_starved(sock))
		return false;
	if (sock_opts(sock)->notsent_lowat &&
	    2 * (uint64_t)mr_tcp_unsent(sock->tcb) >= sock_opts(sock)->notsent_lowat)
		return false;
	q = &sock->tcb->sndq;
	frames = most_frames(sock, mr_tcp_fill_size(sock->socks->tcp, sock->tcb));
	return q->bytes + q->bytes / 2 <= sock_opts(sock)->sndbuf &&
	       q->frames + q->frames / 2 <= frames;
}

/* May a socket that holds no frame take one from the reserve, so that a short answer can always be sent? Yes from its
 * upper half; and, as long as all send queues together hold little, from all but the last frames for ACKs: then
 * received data that nobody reads holds the others, and its reader may want to write first. */
static bool first_frame(const struct mr_socks *socks)
{
	uint32_t nfree = mr_frame_pool_unclaimed(socks->frames);

	return nfree > socks->tx_reserve / 2 || (nfree > socks->frames->nframes / LAST_PART &&
						 socks->tcp->sndq_frames < socks->tx_few);
}

/* How many frames this socket may take now: as many as leave it with no more than are free. */
static uint32_t frames_left(const struct mr_socket *sock)
{
	const struct mr_socks *socks = sock->socks;
	uint32_t nfree = mr_frame_pool_unclaimed(socks->frames), held = sock->tcb->sndq.frames;
	uint32_t spare = nfree > socks->tx_reserve ? nfree - socks->tx_reserve : 0;
	uint32_t share = spare > held ? (spare - held + 1) / 2 : 0;

	return share || held || !first_frame(socks) ? share : 1;
}

bool send_may_wake(const struct mr_socket *sock)
{
	uint32_t n = sock->tcb ? frames_left(sock) : 0;

	return n >= WAKE_FRAMES || (n && !sock->tcb->sndq.frames);
}

/* As Linux's tcp_sndbuf_expand(): what is in flight, and as much again for the RTT in which it is acknowledged. */
void send_autotune(struct mr_socket *sock)
{
	const struct mr_socks *socks = sock->socks;
	struct mr_tcp_opts *o = sock_opts(sock);
	uint64_t want = 2 * (uint64_t)sock->tcb->cwnd;

	if (o->sndbuf_fixed || want <= o->sndbuf ||
	    mr_frame_pool_unclaimed(socks->frames) <= socks->tx_reserve)
		return;
	o->sndbuf =
		(uint32_t)mr_max(mr_min(want, (uint64_t)socks->sndbuf_max), (uint64_t)o->sndbuf);
}

static void starve(struct mr_socket *sock)
{
	MR_COUNT(sock->socks->ctr, SOCK_NO_FRAME);
	if (!sock_starved(sock))
		mr_list_add_tail(&sock->socks->starved, &sock->starved_node);
}

/* May this socket send? Returns 0 or the error for the caller. */
static int may_send(struct mr_socket *sock)
{
	if (sock->kind != MR_SOCK_STREAM)
		return -ENOTCONN;
	if (sock->err)
		return sock_take_error(sock);
	if (sock->shut_wr || sock_over(sock))
		return -EPIPE;
	if (!sock_may_write(sock))
		return -EAGAIN;
	return sock->reserved ? -EINVAL : 0;
}

/* How many of `len` bytes can be taken. 0: the caller returns -EAGAIN, and MR_OUT will follow. */
static uint32_t admit(struct mr_socket *sock, size_t len)
{
	uint32_t fill = mr_tcp_fill_size(sock->socks->tcp, sock->tcb);
	uint32_t room = buffer_room(sock, fill), frames;
	uint64_t most;

	mr_tcp_write_short(sock->socks->tcp, sock->tcb, room < len);
	if (!room) {
		MR_COUNT(sock->socks->ctr, SOCK_SEND_FULL);
		return 0;
	}
	room = (uint32_t)mr_min((size_t)room, len);
	frames = frames_left(sock);
	most = (uint64_t)frames * fill;
	if (most < room) {
		starve(sock);
		room = (uint32_t)most;
	}
	return room;
}

/* Append the first n bytes of iov to the send queue. Only the last piece has the caller's flags, so that the others
 * are not pushed. Returns how many bytes were written. */
static uint32_t write_iov(struct mr_socket *sock, const struct iovec *iov, int iovcnt, uint32_t n,
			  unsigned flags)
{
	struct mr_tcp *tcp = sock->socks->tcp;
	uint32_t done = 0;

	for (int i = 0; i < iovcnt && done < n; i++) {
		uint32_t part = (uint32_t)mr_min((size_t)(n - done), iov[i].iov_len), wrote;
		bool last = done + part == n;

		if (!part)
			continue;
		wrote = mr_tcp_write(tcp, sock->tcb, iov[i].iov_base, part,
				     last ? flags : MR_SEND_MORE);
		done += wrote;
		if (wrote < part) {
			if (!last) /* no more follows */
				mr_tcp_write(tcp, sock->tcb, NULL, 0, flags & MR_SEND_MORE);
			starve(sock);
			break;
		}
	}
	return done;
}

ssize_t mr_sendv(struct mr_socket *sock, const struct iovec *iov, int iovcnt, unsigned flags)
{
	size_t len = 0;
	uint32_t n;
	int err;

	if (!sock || iovcnt < 0 || (!iov && iovcnt) || flags & ~(MR_SEND_MORE | MR_SEND_OOB))
		return -EINVAL;
	for (int i = 0; i < iovcnt; i++) {
		if ((!iov[i].iov_base && iov[i].iov_len) || len + iov[i].iov_len < len)
			return -EINVAL;
		len += iov[i].iov_len;
	}
	err = may_send(sock);
	if (err)
		return err;
	if (!len)
		return 0;
	n = admit(sock, len);
	if (n)
		n = write_iov(sock, iov, iovcnt, n, n == len ? flags : flags & ~MR_SEND_OOB);
	return n ? (ssize_t)n : -EAGAIN;
}

ssize_t mr_send(struct mr_socket *sock, const void *buf, size_t len, unsigned flags)
{
	/* iovec has no const; the bytes are only read. */
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };

	return mr_sendv(sock, &iov, 1, flags);
}

ssize_t mr_send_fastopen(struct mr_socket *sock, const struct mr_endpoint *peer, const void *buf,
			 size_t len, unsigned flags)
{
	bool was;
	int err;

	if (!sock || (!buf && len))
		return -EINVAL;
	if (sock->kind == MR_SOCK_NEW) {
		was = sock->setup->opts.fastopen_connect;
		sock->setup->opts.fastopen_connect = true;
		err = mr_connect(sock, peer);
		if (sock->kind == MR_SOCK_NEW)
			sock->setup->opts.fastopen_connect = was;
		if (err)
			return err;
	}
	return mr_send(sock, buf, len, flags);
}

/* ---- Zero copy -------------------------------------------------------------------------------- */

int mr_send_reserve(struct mr_socket *sock, struct mr_sendbuf *buf)
{
	struct mr_frame *f;
	uint32_t most, room;
	int err;

	if (!sock || !buf)
		return -EINVAL;
	*buf = (struct mr_sendbuf){ 0 };
	err = may_send(sock);
	if (err)
		return err;
	most = admit(sock, mr_tcp_fill_size(sock->socks->tcp, sock->tcb));
	if (!most)
		return -EAGAIN;
	f = mr_tcp_frame_get(sock->socks->tcp, sock->tcb, &room);
	if (!f) {
		starve(sock);
		return -EAGAIN;
	}
	sock->reserved = f;
	room = mr_min(room, most);
	*buf = (struct mr_sendbuf){ .data = f->pay, .room = room, .frame = f };
	return 0;
}

int mr_send_commit(struct mr_socket *sock, struct mr_sendbuf *buf, uint32_t len, unsigned flags)
{
	struct mr_frame *f;
	int err;

	if (!sock || !buf || !buf->frame || buf->frame != sock->reserved)
		return -EINVAL;
	f = sock->reserved;
	sock->reserved = NULL;
	err = may_send(sock);
	if (!err && (!len || len > buf->room || flags & ~(MR_SEND_MORE | MR_SEND_OOB)))
		err = -EINVAL;
	*buf = (struct mr_sendbuf){ 0 };
	if (err) {
		mr_frame_put(sock->socks->frames, f);
	} else {
		f->pay_len = len;
		mr_tcp_frame_queue(sock->socks->tcp, sock->tcb, f, flags);
	}
	sock_mark(sock);
	return err;
}

void send_drop_reserved(struct mr_socket *sock)
{
	if (sock->reserved)
		mr_frame_put(sock->socks->frames, sock->reserved);
	sock->reserved = NULL;
}

void mr_send_cancel(struct mr_socket *sock, struct mr_sendbuf *buf)
{
	if (!sock || !buf || !buf->frame || buf->frame != sock->reserved)
		return;
	*buf = (struct mr_sendbuf){ 0 };
	send_drop_reserved(sock);
	sock_mark(sock);
}

void send_check(const struct mr_socket *sock)
{
	assert(!sock_starved(sock) || sock->kind == MR_SOCK_STREAM);
	assert(!sock->reserved || sock->reserved->refs == 1);
}
