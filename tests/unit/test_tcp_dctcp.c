// SPDX-License-Identifier: BSD-2-Clause
/* test_tcp_dctcp.c - RFC 8257 section 3.3: alpha follows the share of marks, and the cut follows alpha. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "tcp/tcp_cong.h"
#include "tcp/tcp_priv.h"

#define MSS    1000u
#define WINDOW (100 * MSS)

static void open_tcb(struct mr_tcb *tcb)
{
	static struct mr_sending sending;

	memset(tcb, 0, sizeof(*tcb));
	memset(&sending, 0, sizeof(sending));
	tcb->sending = &sending;
	tcb->snd_mss = MSS;
	tcb->snd_una = tcb->snd_nxt = 0u - 30 * MSS; /* wraps soon */
	mr_cong_dctcp.init(tcb, 1);
	tcb->cwnd = tcb->ssthresh = WINDOW;
	tcb->snd_nxt += WINDOW;
}

/* A window of data is acknowledged, a segment at a time; every n-th ACK echoes a mark (0: none). */
static void window(struct mr_tcb *tcb, unsigned n)
{
	for (unsigned i = 1; i <= WINDOW / MSS; i++) {
		tcb->snd_una += MSS;
		tcb->snd_nxt += MSS;
		mr_cong_dctcp.ecn(tcb, MSS, n && i % n == 0);
	}
}

/* Per mille that a mark takes now. */
static uint32_t cut(struct mr_tcb *tcb)
{
	return (WINDOW - mr_cong_dctcp.marked(tcb, WINDOW, 1)) * 1000 / WINDOW;
}

static void rfc8257_3_3_the_cut_is_half_the_share_of_marks_in_the_long_run(void **state)
{
	static const struct {
		unsigned n;
		uint32_t cut;
	} rows[] = { { 1, 500 }, { 2, 250 }, { 4, 125 }, { 20, 25 }, { 50, 10 } };

	(void)state;
	for (unsigned i = 0; i < MR_ARRAY_SIZE(rows); i++) {
		struct mr_tcb tcb;

		open_tcb(&tcb);
		for (unsigned k = 0; k < 200; k++)
			window(&tcb, rows[i].n);
		assert_in_range(cut(&tcb), rows[i].cut - rows[i].cut / 20 - 1,
				rows[i].cut + rows[i].cut / 20 + 1);
	}
}

/* alpha * (15/16)^n. */
static void rfc8257_3_3_without_marks_alpha_fades_by_a_sixteenth_a_window(void **state)
{
	struct mr_tcb tcb;

	(void)state;
	open_tcb(&tcb);
	assert_int_equal(cut(&tcb), 500);
	window(&tcb, 0); /* its first ACK ends the empty window before */
	for (unsigned k = 0; k < 10; k++)
		window(&tcb, 0);
	assert_in_range(cut(&tcb), 235, 265); /* 0.5 * (15/16)^11 = 0.246 */
	for (unsigned k = 0; k < 300; k++)
		window(&tcb, 0);
	assert_int_equal(cut(&tcb), 0);
}

static void the_window_never_falls_below_two_segments(void **state)
{
	struct mr_tcb tcb;

	(void)state;
	open_tcb(&tcb);
	tcb.cwnd = 2 * MSS;
	assert_int_equal(mr_cong_dctcp.marked(&tcb, 2 * MSS, 1), 2 * MSS);
	assert_int_equal(mr_cong_dctcp.ssthresh(&tcb, 2 * MSS, 1), 2 * MSS);
}

/* Section 3.5. */
static void rfc8257_3_5_a_loss_halves_whatever_alpha_says(void **state)
{
	struct mr_tcb tcb;

	(void)state;
	open_tcb(&tcb);
	for (unsigned k = 0; k < 300; k++)
		window(&tcb, 0);
	assert_int_equal(mr_cong_dctcp.ssthresh(&tcb, WINDOW, 1), WINDOW / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc8257_3_3_the_cut_is_half_the_share_of_marks_in_the_long_run),
		cmocka_unit_test(rfc8257_3_3_without_marks_alpha_fades_by_a_sixteenth_a_window),
		cmocka_unit_test(the_window_never_falls_below_two_segments),
		cmocka_unit_test(rfc8257_3_5_a_loss_halves_whatever_alpha_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
