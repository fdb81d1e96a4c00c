/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h> /* the build's: there is one beside us */

#include "mdclusterd/daemon/notify.h"

#ifdef HAVE_SYSTEMD

#include <stdlib.h>

#include <systemd/sd-daemon.h>

void notify_ready(void)
{
	(void)sd_notify(0, "READY=1");
}

void notify_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1");
}

void notify_alive(void)
{
	(void)sd_notify(0, "WATCHDOG=1");
}

void notify_status(const char *text)
{
	(void)sd_notifyf(0, "STATUS=%s", text);
}

uint64_t notify_watchdog_us(void)
{
	/* not sd_watchdog_enabled(): it is meant for our supervisor's pid, who passes it on */
	const char *us = getenv("WATCHDOG_USEC");

	return us ? strtoull(us, NULL, 10) : 0;
}

#else

void notify_ready(void)
{
}

void notify_stopping(void)
{
}

void notify_alive(void)
{
}

void notify_status(const char *text)
{
	(void)text;
}

uint64_t notify_watchdog_us(void)
{
	return 0;
}

#endif
