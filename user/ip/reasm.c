// SPDX-License-Identifier: BSD-2-Clause
/*
 * reasm.c - reassembly of fragmented datagrams, of both families.
 * Owns        the fragments of incomplete datagrams, in the frames in which they arrived: nothing is copied.
 * Implements  RFC 791 section 3.2 and RFC 8200 section 4.5 (which fragments belong together); RFC 1122 section 3.3.2
 *             (timeout); RFC 5722 (overlaps); RFC 1858, 3128 and 7112 (the first fragment has all headers); RFC 3168
 *             section 5.3 (ECN).
 * Called by   ipv4.c and ipv6.c (a fragment), the engine (timeout), on the engine's thread only.
 * Not here    the headers of a fragment (ipv4.c, ipv6.c).
 *
 * An incomplete datagram holds frames that others need, and anybody can begin one. So there are limits for each
 * sender and for all; when one is reached, the oldest datagram is dropped: that of the same sender, if it is the
 * sender's limit.
 *
 * Departures. The timeout of IPv4 is 30 s, as in Linux, and not 60 to 120 s as in RFC 1122: in 30 s the
 * identifications of a fast sender wrap several times (RFC 4963). In IPv4, too, overlapping fragments are not trimmed
 * (RFC 791 section 3.2): the datagram is dropped, as RFC 5722 demands for IPv6.
 */
#include <netinet/in.h>
#include "base/addr.h"
#include "base/compiler.h"
#include "base/hash.h"
#include "base/time.h"
#include "ip/ip_priv.h"

#define L4_HLEN_MIN 8u /* UDP, ICMP */
#define TCP_HLEN    20u
#define TCP_DOFF    12u

/* ECN codepoints, as bits of a set (RFC 3168 section 5). 0 is "not capable". */
#define ECN_MASK   3u
#define ECN_CE	   3u
#define ECN_SET(e) (1u << (e))

static uint32_t end_of(const struct mr_frame *fragment)
{
	return fragment->seq + fragment->pkt_len;
}

/* ---- The table ------------------------------------------------------------------------------- */

void mr_reasm_init(struct mr_ip *ip)
{
	struct mr_reasm *r = &ip->reasm;

	r->hash_key[0] = mr_rng_u64(ip->rng);
	r->hash_key[1] = mr_rng_u64(ip->rng);
	/* Reassembly may only use a part of the frames. */
	r->chunks_max = mr_min(ip->frames->nframes / 8, MR_REASM_CHUNKS_ALL);
	mr_list_init(&r->age);
	mr_list_init(&r->free);
	for (unsigned i = 0; i < MR_ARRAY_SIZE(r->buckets); i++)
		mr_list_init(&r->buckets[i]);
	for (unsigned i = 0; i < MR_ARRAY_SIZE(r->table); i++)
		mr_list_add_tail(&r->free, &r->table[i].age_node);
}

static void forget_all(struct mr_reasm *r)
{
	r->used = r->chunks = 0;
	mr_list_init(&r->age);
	mr_list_init(&r->free);
	for (unsigned i = 0; i < MR_ARRAY_SIZE(r->buckets); i++)
		mr_list_init(&r->buckets[i]);
	for (unsigned i = 0; i < MR_ARRAY_SIZE(r->table); i++) {
		r->table[i] = (struct mr_datagram){ 0 };
		mr_list_add_tail(&r->free, &r->table[i].age_node);
	}
}

void mr_ip_salvage(struct mr_ip *ip)
{
	forget_all(&ip->reasm);
	mr_timer_salvage(ip->link->wheel, &ip->router_timer);
}

static struct mr_list *bucket_of(struct mr_reasm *r, const struct mr_addr *src)
{
	uint64_t h = mr_siphash(r->hash_key, src->b, sizeof(src->b));

	return &r->buckets[h % MR_ARRAY_SIZE(r->buckets)];
}

/* Release its frames; each fragment counts as dropped. */
static void drop_fragments(struct mr_ip *ip, struct mr_datagram *d, enum mr_drop reason)
{
	struct mr_frame *f = d->head, *next;

	for (; f; f = next) {
		next = f->next;
		f->next = NULL;
		mr_frame_put_chain(ip->frames, f);
		ip->ctr->drop[reason]++;
	}
	ip->reasm.chunks -= d->chunks;
	d->head = d->tail = NULL;
	d->chunks = 0;
}

static void forget(struct mr_ip *ip, struct mr_datagram *d)
{
	mr_timer_cancel(ip->link->wheel, &d->timer);
	mr_list_del(&d->bucket_node);
	mr_list_move_tail(&ip->reasm.free, &d->age_node);
	ip->reasm.used--;
}

static void evict(struct mr_ip *ip, struct mr_datagram *d)
{
	drop_fragments(ip, d, MR_DROP_IP_FRAG_LIMIT);
	forget(ip, d);
}

/* The incomplete datagrams of one sender. */
struct sender {
	uint32_t datagrams, chunks;
	struct mr_datagram *oldest; /* NULL: it has none */
	struct mr_datagram *oldest_with_chunks;
};

static void survey(struct mr_reasm *r, const struct mr_addr *src, struct sender *s)
{
	const struct mr_list *bucket = bucket_of(r, src);
	struct mr_list *pos;

	*s = (struct sender){ 0 };
	mr_list_for_each (pos, bucket) { /* oldest first */
		struct mr_datagram *d = mr_list_entry(pos, struct mr_datagram, bucket_node);

		if (!mr_addr_eq(&d->rx.src, src))
			continue;
		s->datagrams++;
		s->chunks += d->chunks;
		s->oldest = s->oldest ?: d;
		if (!s->oldest_with_chunks && d->chunks)
			s->oldest_with_chunks = d;
	}
}

static struct mr_datagram *oldest_with_chunks(struct mr_reasm *r)
{
	struct mr_list *pos;

	mr_list_for_each (pos, &r->age) {
		struct mr_datagram *d = mr_list_entry(pos, struct mr_datagram, age_node);

		if (d->chunks)
			return d;
	}
	return NULL;
}

/* Datagrams are identified by source, destination, protocol and identification (RFC 791), in IPv6 without protocol
 * (RFC 8200). */
static struct mr_datagram *find(struct mr_reasm *r, const struct mr_fragment *fr)
{
	const struct mr_list *bucket = bucket_of(r, &fr->rx->src);
	struct mr_list *pos;

	mr_list_for_each (pos, bucket) {
		struct mr_datagram *d = mr_list_entry(pos, struct mr_datagram, bucket_node);

		if (d->id == fr->id && mr_addr_eq(&d->rx.src, &fr->rx->src) &&
		    mr_addr_eq(&d->rx.dst, &fr->rx->dst) &&
		    (d->rx.proto == fr->rx->proto || !mr_addr_is_v4(&fr->rx->src)))
			return d;
	}
	return NULL;
}

static struct mr_datagram *begin(struct mr_ip *ip, const struct mr_fragment *fr, uint64_t now)
{
	struct mr_reasm *r = &ip->reasm;
	struct mr_list *bucket = bucket_of(r, &fr->rx->src);
	uint64_t wait = mr_addr_is_v4(&fr->rx->src) ? MR_REASM_V4_NS : MR_REASM_V6_NS;
	struct mr_datagram *d;
	struct sender s;

	survey(r, &fr->rx->src, &s);
	if (s.datagrams == MR_REASM_PER_SOURCE)
		evict(ip, s.oldest);
	else if (mr_list_empty(&r->free))
		evict(ip, mr_list_first(&r->age, struct mr_datagram, age_node));
	d = mr_list_first(&r->free, struct mr_datagram, age_node);
	mr_list_del(&d->age_node);
	*d = (struct mr_datagram){ .rx = *fr->rx, .id = fr->id };
	mr_list_init(&d->age_node);
	mr_list_init(&d->bucket_node);
	mr_list_add_tail(&r->age, &d->age_node);
	mr_list_add_tail(bucket, &d->bucket_node);
	mr_timer_init(&d->timer, MR_TIMER_REASM);
	mr_timer_arm(ip->link->wheel, &d->timer, now + wait);
	r->used++;
	return d;
}

/* Make room for n more chunks of d's sender. False: d itself was the oldest, and was dropped. */
static bool make_room(struct mr_ip *ip, const struct mr_datagram *d, uint32_t n)
{
	struct mr_reasm *r = &ip->reasm;
	struct mr_addr src = d->rx.src;

	for (;;) {
		struct mr_datagram *victim;
		struct sender s;

		survey(r, &src, &s);
		if (s.chunks + n > r->chunks_max / MR_REASM_SOURCE_SHARE)
			victim = s.oldest_with_chunks;
		else if (r->chunks + n > r->chunks_max)
			victim = oldest_with_chunks(r);
		else
			return true;
		if (!victim) /* it is larger than the limit for all */
			return false;
		evict(ip, victim);
		if (victim == d)
			return false;
	}
}

/* ---- One fragment ---------------------------------------------------------------------------- */

bool mr_reasm_has_l4_header(uint8_t proto, const uint8_t *p, uint32_t len)
{
	switch (proto) {
	case IPPROTO_TCP:
		return len >= TCP_HLEN && len >= (uint32_t)(p[TCP_DOFF] >> 4) * 4;
	case IPPROTO_UDP:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return len >= L4_HLEN_MIN;
	default: /* it is not processed here */
		return true;
	}
}

/* It contradicts earlier fragments, and it is unknown which are the attacker's. Remember the datagram as dead, so
 * that later fragments do not start a new one. */
static enum mr_drop give_up(struct mr_ip *ip, struct mr_datagram *d, enum mr_drop reason)
{
	drop_fragments(ip, d, reason);
	d->dead = (uint16_t)reason; /* the reasons are few */
	return reason;
}

/* Find the place of f among the fragments: *before is the one that it follows, or NULL. Returns MR_DROP_NONE, or why
 * f is invalid. */
static enum mr_drop find_place(const struct mr_datagram *d, const struct mr_frame *f,
			       const struct mr_fragment *fr, struct mr_frame **before)
{
	struct mr_frame *prev = NULL, *next = d->head;
	uint32_t end = end_of(f);

	if (d->tail && d->tail->seq <= f->seq) { /* the usual case: in order */
		prev = d->tail;
		next = NULL;
	}
	for (; next && next->seq <= f->seq; next = next->next)
		prev = next;
	/* RFC 8200 section 4.5: an exact duplicate is no overlap, because the network may have made it. The one that
	 * came first stays. */
	if (prev && prev->seq == f->seq && prev->pkt_len == f->pkt_len &&
	    (fr->more ? !d->end || end < d->end : d->end == end))
		return MR_DROP_IP_FRAG_DUPLICATE;
	if ((prev && end_of(prev) > f->seq) || (next && next->seq < end))
		return MR_DROP_IP_FRAG_OVERLAP;
	if (d->end && (fr->more ? end >= d->end : end != d->end))
		return MR_DROP_IP_FRAG_OVERLAP;
	if (!fr->more && d->tail && end_of(d->tail) > end)
		return MR_DROP_IP_FRAG_OVERLAP;
	*before = prev;
	return MR_DROP_NONE;
}

static void insert(struct mr_ip *ip, struct mr_datagram *d, struct mr_frame *before,
		   struct mr_frame *f)
{
	struct mr_frame **link = before ? &before->next : &d->head;

	f->next = *link;
	*link = f;
	if (!f->next)
		d->tail = f;
	d->bytes += f->pkt_len;
	d->chunks += f->nchunks;
	ip->reasm.chunks += f->nchunks;
}

/* ---- The whole ------------------------------------------------------------------------------- */

/* All fragments in one chain. */
static struct mr_frame *join(struct mr_ip *ip, struct mr_datagram *d)
{
	struct mr_frame *first = d->head, *last = NULL, *f, *next;

	for (f = first; f; f = next) {
		next = f->next;
		f->next = NULL;
		if (last)
			last->frag = f;
		for (last = f; last->frag;)
			last = last->frag;
	}
	assert(first); /* a datagram has at least one fragment */
	first->pkt_len = d->bytes;
	first->nchunks = (uint8_t)d->chunks;
	first->flags &= (uint8_t)~MR_FRAME_META; /* the metadata is that of the fragment */
	ip->reasm.chunks -= d->chunks;
	d->head = d->tail = NULL;
	d->chunks = 0;
	return first;
}

static struct mr_frame *complete(struct mr_ip *ip, struct mr_datagram *d, struct mr_fragment *fr)
{
	*fr->rx = d->rx;
	fr->rx->l4_len = d->bytes;
	fr->rx->csum_ok = false;
	/* RFC 3168 section 5.3: a CE mark of one fragment applies to the datagram. */
	if (d->ecn & ECN_SET(ECN_CE))
		fr->rx->tos |= ECN_CE;
	fr->iph = d->iph;
	forget(ip, d);
	MR_COUNT(ip->ctr, IP_REASSEMBLED);
	return join(ip, d);
}

enum mr_drop mr_reasm_input(struct mr_ip *ip, struct mr_frame **fragment, struct mr_fragment *fr,
			    uint64_t now)
{
	struct mr_frame *f = *fragment, *before;
	struct mr_datagram *d = find(&ip->reasm, fr);
	enum mr_drop reason;
	uint8_t ecn;

	assert(f->pkt_len && fr->off + f->pkt_len <= UINT16_MAX);
	if (d && d->dead)
		return (enum mr_drop)d->dead;
	d = d ?: begin(ip, fr, now);
	f->seq = fr->off;
	reason = find_place(d, f, fr, &before);
	if (reason == MR_DROP_IP_FRAG_DUPLICATE)
		return reason;
	if (reason != MR_DROP_NONE)
		return give_up(ip, d, reason);
	ecn = (uint8_t)(d->ecn | ECN_SET(fr->rx->tos & ECN_MASK));
	if (ecn & ECN_SET(0) && ecn != ECN_SET(0))
		return give_up(ip, d, MR_DROP_IP_FRAG_ECN);
	if (d->chunks + f->nchunks > MR_REASM_CHUNKS_ONE)
		return give_up(ip, d, MR_DROP_IP_FRAG_LIMIT);
	if (!make_room(ip, d, f->nchunks))
		return MR_DROP_IP_FRAG_LIMIT;

	d->ecn = ecn;
	if (!fr->off) {
		d->rx = *fr->rx;
		d->iph = fr->iph;
	}
	if (!fr->more)
		d->end = end_of(f);
	insert(ip, d, before, f);
	/* Nothing overlaps, so if the number of bytes is right, it is complete. */
	*fragment = d->bytes == d->end ? complete(ip, d, fr) : NULL;
	return MR_DROP_NONE;
}

void mr_reasm_timer(struct mr_ip *ip, struct mr_timer *t, uint64_t now)
{
	struct mr_datagram *d = mr_container_of(t, struct mr_datagram, timer);

	/* RFC 792, RFC 8200 section 4.5: send an error only if the first fragment is there. */
	if (d->iph && d->head) {
		if (mr_addr_is_v4(&d->rx.src))
			mr_icmp_time_exceeded(ip, d->head, d->iph, now);
		else
			mr_icmp6_error(ip, d->head, d->iph, MR_ICMP6_TIME_EXCEEDED,
				       MR_ICMP6_REASSEMBLY_TIME, 0, now);
	}
	drop_fragments(ip, d, MR_DROP_IP_FRAG_TIMEOUT);
	forget(ip, d);
}

void mr_reasm_check(const struct mr_ip *ip)
{
	const struct mr_reasm *r = &ip->reasm;
	uint32_t chunks = 0, used = 0;
	const struct mr_list *pos;

	mr_list_for_each (pos, &r->age) {
		const struct mr_datagram *d = mr_list_entry(pos, struct mr_datagram, age_node);
		uint32_t bytes = 0, own = 0, at = 0;

		for (const struct mr_frame *f = d->head; f; f = f->next) {
			assert(f->seq >= at && f->pkt_len);
			at = end_of(f);
			bytes += f->pkt_len;
			own += f->nchunks;
			assert(f->next || f == d->tail);
		}
		assert(d->dead ? !own : bytes == d->bytes);
		assert(own == d->chunks && (!d->end || at <= d->end));
		assert(mr_timer_armed(&d->timer));
		chunks += own;
		used++;
	}
	assert(chunks == r->chunks && used == r->used && chunks <= r->chunks_max);
}
