/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/printable.h"

int err_set(struct err *err, int code, const char *fmt, ...)
{
	char text[sizeof(err->text)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text_printable(text, sizeof(text), err->text, sizeof(err->text));
	err->code = code;
	return code;
}

int err_prefix(struct err *err, const char *fmt, ...)
{
	char prefix[sizeof(err->text) / 2];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(prefix, sizeof(prefix), fmt, ap);
	va_end(ap);
	return err_set(err, err->code, "%s: %s", prefix, err->text);
}

int err_nomem(struct err *err, const char *what)
{
	return err_set(err, -ENOMEM, "out of memory for %s", what);
}
