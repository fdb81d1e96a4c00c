/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/fence/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/printable.h"

#define SOFTWARE "Software Watchdog"

struct watchdog {
	const struct watchdog_ops *ops;
	int fd;
	char identity[40];
};

/* --- the kernel's ------------------------------------------------------------------------- */

static int kernel_open(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int kernel_support(int fd, uint32_t *options, char identity[33])
{
	struct watchdog_info info = { 0 };

	if (ioctl(fd, WDIOC_GETSUPPORT, &info) < 0)
		return -errno;
	*options = info.options;
	memcpy(identity, info.identity, 32);
	identity[32] = '\0';
	return 0;
}

static int kernel_set_timeout(int fd, int seconds)
{
	return ioctl(fd, WDIOC_SETTIMEOUT, &seconds) < 0 ? -errno : 0;
}

static int kernel_get_timeout(int fd, int *seconds)
{
	return ioctl(fd, WDIOC_GETTIMEOUT, seconds) < 0 ? -errno : 0;
}

static int kernel_keep_alive(int fd)
{
	return ioctl(fd, WDIOC_KEEPALIVE, 0) < 0 ? -errno : 0;
}

static int kernel_write(int fd, char byte)
{
	return write(fd, &byte, 1) == 1 ? 0 : -errno;
}

static void kernel_close(int fd)
{
	close(fd);
}

const struct watchdog_ops watchdog_kernel = {
	kernel_open, kernel_support, kernel_set_timeout, kernel_get_timeout, kernel_keep_alive,
	kernel_write, kernel_close,
};

/* --- any -------------------------------------------------------------------------------------- */

/* Before its timeout is touched; it runs already. */
static int judge(struct watchdog *w, const struct watchdog_config *c, struct err *err)
{
	uint32_t options = 0;
	char identity[33];
	int r = w->ops->support(w->fd, &options, identity);

	if (r < 0)
		return err_set(err, r, "%s: is no watchdog: %s", c->path, strerror(-r));
	text_printable(identity, strlen(identity), w->identity, sizeof(w->identity));
	if (!(options & WDIOF_MAGICCLOSE))
		return err_set(err, -EOPNOTSUPP, "%s: %s stops when mdclusterd dies (it knows no magic close): it guards nothing",
			       c->path, w->identity);
	if (strcmp(w->identity, SOFTWARE) == 0 && !c->takes_software)
		return err_set(err, -EOPNOTSUPP, "%s: is software, which hangs with its host: not without software = yes",
			       c->path);
	return 0;
}

static int set(struct watchdog *w, const struct watchdog_config *c, struct err *err)
{
	int wanted = (int)c->timeout_s, found = 0, r;

	r = w->ops->set_timeout(w->fd, wanted);
	if (r == 0)
		r = w->ops->get_timeout(w->fd, &found);
	if (r < 0)
		return err_set(err, r, "%s: its timeout cannot be set: %s", c->path, strerror(-r));
	if (found <= 0 || found > wanted)
		return err_set(err, -ERANGE, "%s: %s takes %d s, and not %d: say so in the configuration",
			       c->path, w->identity, found, wanted);
	r = w->ops->keep_alive(w->fd);
	return r < 0 ? err_set(err, r, "%s: cannot be petted: %s", c->path, strerror(-r)) : 0;
}

struct watchdog *watchdog_open(const struct watchdog_ops *ops,
			       const struct watchdog_config *config, struct err *err)
{
	struct watchdog *w = calloc(1, sizeof(*w));

	if (!w) {
		err_nomem(err, config->path);
		return NULL;
	}
	w->ops = ops;
	w->fd = ops->open(config->path);
	if (w->fd < 0)
		err_set(err, w->fd, "%s: %s", config->path, strerror(-w->fd));
	else if (judge(w, config, err) == 0 && set(w, config, err) == 0)
		return w;
	watchdog_close(w, true);
	return NULL;
}

int watchdog_pet(struct watchdog *w)
{
	return w->ops->keep_alive(w->fd);
}

void watchdog_close(struct watchdog *w, bool is_safe)
{
	if (!w)
		return;
	if (w->fd >= 0 && is_safe)
		(void)w->ops->write(w->fd, 'V');
	if (w->fd >= 0)
		w->ops->close(w->fd);
	free(w);
}

const char *watchdog_identity(const struct watchdog *w)
{
	return w->identity;
}
