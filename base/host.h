/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The name of this host, as others know it. */
#pragma once

struct err;

enum { HOST_NAME_BYTES = 65 }; /* with its NUL */

/*
 * The kernel's; before that has been told, the one in /etc/hostname (an initramfs). -ENXIO: this
 * host has none of its own ("localhost" is everybody's), and `to` is "".
 */
int host_name(char to[HOST_NAME_BYTES], struct err *err);
