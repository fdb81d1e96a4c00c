/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Preloaded into a daemon: any file is a hardware watchdog to it. What is written there stays
 * in the file: a P for each time that it was petted, a V for the magic close.
 */
#include <dlfcn.h>
#include <linux/watchdog.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int timeout;

static int support(struct watchdog_info *info)
{
	memset(info, 0, sizeof(*info));
	info->options = WDIOF_MAGICCLOSE | WDIOF_SETTIMEOUT | WDIOF_KEEPALIVEPING;
	memcpy(info->identity, "fake", 5);
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	int (*real)(int, unsigned long, void *) =
		(int (*)(int, unsigned long, void *))dlsym(RTLD_NEXT, "ioctl");
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	switch (request) {
	case WDIOC_GETSUPPORT:
		return support(arg);
	case WDIOC_SETTIMEOUT:
		timeout = *(int *)arg;
		return 0;
	case WDIOC_GETTIMEOUT:
		*(int *)arg = timeout;
		return 0;
	case WDIOC_KEEPALIVE:
		return write(fd, "P", 1) == 1 ? 0 : -1;
	default:
		return real(fd, request, arg);
	}
}
