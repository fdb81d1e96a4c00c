/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pr-iscsi URL: what fencing does with a disk (fence/pr.h), done to a real target by libiscsi,
 * in user space. Reads lines "INITIATOR TASK [KEY [VICTIM]]": check, register, watch, preempt,
 * preempt-abort, leave, leave-last; write: one block, to see who may. Keys are hexadecimal. Says of each
 * "fine", "conflict", "fenced", or "failed" and why. An initiator's session stays, as a node's
 * does: tgt forgets a registration with its session.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include "base/arith.h"
#include "base/err.h"
#include "mdclusterd/fence/pr.h"

struct way {
	struct iscsi_context *iscsi;
	int lun;
};

static int run(const struct way *w, unsigned char *cdb, int cdb_bytes, void *data, size_t length,
	       bool is_out, struct pr_answer *answer)
{
	struct iscsi_data out = { .size = length, .data = data };
	struct scsi_task *task = scsi_create_task(cdb_bytes, cdb,
						  is_out ? SCSI_XFER_WRITE : SCSI_XFER_READ,
						  (int)length);

	if (!task)
		return -ENOMEM;
	if (!iscsi_scsi_command_sync(w->iscsi, w->lun, task, is_out ? &out : NULL)) {
		scsi_free_scsi_task(task);
		return -EIO;
	}
	answer->status = (uint8_t)task->status;
	answer->sense = (struct pr_sense){ (uint8_t)task->sense.key,
					   (uint8_t)(task->sense.ascq >> 8 & 0xff),
					   (uint8_t)(task->sense.ascq & 0xff) };
	if (!is_out && task->status == SCSI_STATUS_GOOD) {
		answer->length = (size_t)task->datain.size < length ? (size_t)task->datain.size
								    : length;
		memcpy(data, task->datain.data, answer->length);
	}
	scsi_free_scsi_task(task);
	return 0;
}

static int command(void *owner, const uint8_t cdb[PR_CDB_BYTES], void *data, size_t length,
		   bool is_out, struct pr_answer *answer)
{
	unsigned char copy[PR_CDB_BYTES];

	memcpy(copy, cdb, sizeof(copy));
	return run(owner, copy, sizeof(copy), data, length, is_out, answer);
}

/* WRITE(10) of block 0, again where the target first has something to tell. */
static int write_block(const struct way *w, struct err *err)
{
	unsigned char cdb[10] = { 0x2a, [8] = 1 };
	uint8_t block[512] = { 1 };
	struct pr_answer a;

	for (int i = 0; i < 4; i++) {
		a = (struct pr_answer){ 0 };
		if (run(w, cdb, sizeof(cdb), block, sizeof(block), true, &a) < 0)
			return err_set(err, -EIO, "no answer");
		if (a.status != PR_CHECK_CONDITION)
			break;
	}
	if (a.status == PR_RESERVATION_CONFLICT)
		return err_set(err, -EBADE, "reservation conflict");
	return a.status == PR_GOOD ? 0 : err_set(err, -EIO, "status %02x", a.status);
}

static int do_task(struct way *w, const char *url, const char *task, uint64_t key,
		   uint64_t victim, struct err *err)
{
	static const struct pr_ops ops = { command };
	const struct pr_disk disk = { &ops, w, url };

	if (strcmp(task, "check") == 0)
		return pr_check(&disk, err);
	if (strcmp(task, "register") == 0)
		return pr_register(&disk, key, err);
	if (strcmp(task, "watch") == 0)
		return pr_watch(&disk, key, err);
	if (strncmp(task, "preempt", 7) == 0)
		return pr_preempt(&disk, key, victim, task[7] != '\0', err);
	if (strncmp(task, "leave", 5) == 0)
		return pr_leave(&disk, key, task[5] != '\0', err);
	if (strcmp(task, "write") == 0)
		return write_block(w, err);
	return err_set(err, -EINVAL, "no such task");
}

static int log_in(struct way *w, const char *url_text, const char *name, struct err *err)
{
	struct iscsi_url *url;

	w->iscsi = iscsi_create_context(name);
	url = w->iscsi ? iscsi_parse_full_url(w->iscsi, url_text) : NULL;
	if (!url)
		return err_set(err, -EINVAL, "%s: no such URL", url_text);
	iscsi_set_targetname(w->iscsi, url->target);
	iscsi_set_session_type(w->iscsi, ISCSI_SESSION_NORMAL);
		iscsi_set_timeout(w->iscsi, 10);
	w->lun = url->lun;
	if (iscsi_full_connect_sync(w->iscsi, url->portal, url->lun) != 0)
		err_set(err, -ENOTCONN, "%s: %s", url_text, iscsi_get_error(w->iscsi));
	iscsi_destroy_url(url);
	return err->code;
}

static struct {
	char name[128];
	struct way way;
} sessions[8];

/* NULL: it could not be. */
static struct way *session_of(const char *url, const char *name, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(sessions); i++) {
		if (!sessions[i].name[0]) {
			snprintf(sessions[i].name, sizeof(sessions[i].name), "%s", name);
			if (log_in(&sessions[i].way, url, name, err) < 0)
				return NULL;
		}
		if (strcmp(sessions[i].name, name) == 0)
			return &sessions[i].way;
	}
	err_set(err, -EMFILE, "too many initiators");
	return NULL;
}

static void do_line(const char *url, const char *line)
{
	char name[128] = "", task[32] = "";
	uint64_t key = 0, victim = 0;
	struct err err = ERR_INIT;
	struct way *w;

	sscanf(line, "%127s %31s %" SCNx64 " %" SCNx64, name, task, &key, &victim);
	w = session_of(url, name, &err);
	if (w)
		(void)do_task(w, url, task, key, victim, &err);
	if (err.code == 0)
		puts("fine");
	else if (err.code == -EBADE)
		puts("conflict");
	else if (err.code == -EKEYREVOKED)
		puts("fenced");
	else
		printf("failed: %s\n", err.text);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char line[256];

	if (argc != 2) {
		fprintf(stderr, "pr-iscsi URL\n");
		return 2;
	}
	while (fgets(line, sizeof(line), stdin))
		do_line(argv[1], line);
	for (size_t i = 0; i < ARRAY_SIZE(sessions); i++)
		if (sessions[i].way.iscsi)
			iscsi_destroy_context(sessions[i].way.iscsi);
	return 0;
}
