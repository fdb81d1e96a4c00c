/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What systemd is told, where this build has libsystemd and it asked; else nothing. */
#pragma once

#include <stdint.h>

void notify_ready(void);
void notify_stopping(void);
void notify_alive(void);
void notify_status(const char *text);
/* How often notify_alive() must come, in us; 0: nobody waits for it. */
uint64_t notify_watchdog_us(void);
