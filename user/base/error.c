// SPDX-License-Identifier: BSD-2-Clause
/*
 * error.c - fill a struct mr_error.
 * Called by   set-up code of every layer; nothing on the way of a packet.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"

int mr_error_set(struct mr_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return code;
}
