/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mdclusterd/daemon/slot_memory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/saver.h"
#include "base/text.h"

LOG_SUBSYSTEM(slot);

enum { MAX_SLOT = 127, PATH_BYTES = 4096 };

struct saving {
	char path[PATH_BYTES], text[16 + TEXT_UUID_BYTES];
};

int slot_memory_read(const char *state_dir, const char *array)
{
	char path[PATH_BYTES], text[16] = "";
	struct err err = ERR_INIT;
	uint64_t slot = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.slot", state_dir, array);
	file = fopen(path, "re");
	if (!file)
		return -1;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	(void)fclose(file);
	text[strcspn(text, "\n")] = '\0';
	return text_parse_u64(text, path, 0, MAX_SLOT, &slot, &err) < 0 ? -1 : (int)slot;
}

static void *save(void *owner)
{
	struct saving *s = owner;
	int r = file_replace(s->path, s->text, strlen(s->text));

	if (r < 0)
		log_warning("MDC5444", "%s: the slot is not remembered: %s", s->path,
			    strerror(-r));
	free(s);
	return NULL;
}

void slot_memory_save(const char *state_dir, const char *array, const uint8_t uuid[16], int slot)
{
	char text[TEXT_UUID_BYTES];
	struct saving *s = calloc(1, sizeof(*s));
	pthread_t thread;

	if (!s)
		return;
	snprintf(s->path, sizeof(s->path), "%s/%s.slot", state_dir, array);
	snprintf(s->text, sizeof(s->text), "%d\n%s\n", slot, text_uuid(uuid, text));
	if (pthread_create(&thread, NULL, save, s) == 0)
		pthread_detach(thread);
	else
		free(s);
}
