/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * KEY=VALUE lines for shells and udev, with mdadm's keys and some of our own. What stands in
 * a superblock comes from whoever wrote that disk: of it only letters, digits and
 * . _ : @ + - / , pass, so that no name adds a line, or a command.
 */
#pragma once

#include <stdio.h>

#include <jansson.h>

struct md_member;

void export_line(FILE *to, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* As mdadm --examine --export, and MD_CLUSTER_NAME, _NODES; of one that left its cluster _OWNER, _GUARD. */
void export_member(FILE *to, const struct md_member *member);
/* As mdadm --detail --export, and MD_CLUSTER_*; the answer of the method Detail. */
void export_detail(FILE *to, const json_t *answer);
