/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A watchdog device (linux/Documentation/watchdog/watchdog-api.rst): from its opening on the
 * host is reset unless it is petted in time, and only the magic close ends that. One that
 * cannot keep to this is refused: whose timeout is longer than was asked for, that stops when
 * its owner dies (no magic close), or that is software, which a host that hangs or is
 * suspended takes with it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct err;
struct watchdog;

/* The device, by the kernel's calls; each as these: negative errno, and fd >= 0. */
struct watchdog_ops {
	int (*open)(const char *path);
	/* What it can do, WDIOF_*, and its name. */
	int (*support)(int fd, uint32_t *options, char identity[33]);
	int (*set_timeout)(int fd, int seconds);
	int (*get_timeout)(int fd, int *seconds);
	int (*keep_alive)(int fd);
	int (*write)(int fd, char byte);
	void (*close)(int fd);
};

extern const struct watchdog_ops watchdog_kernel;

struct watchdog_config {
	const char *path;
	uint32_t timeout_s;
	bool takes_software;
};

/* It runs from here on. NULL with a sentence: it does not. */
struct watchdog *watchdog_open(const struct watchdog_ops *ops,
			       const struct watchdog_config *config, struct err *err);
int watchdog_pet(struct watchdog *w);
/* is_safe: nothing of this node writes any more, and it is switched off; else it runs out. */
void watchdog_close(struct watchdog *w, bool is_safe); /* NULL is fine */
const char *watchdog_identity(const struct watchdog *w);
